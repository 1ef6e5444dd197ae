//! The file of a history: frames that are only appended, each with its length and checksum.
//!
//! A frame is its length and the CRC-32C of what follows, four bytes each, little-endian, then the
//! event. It is given to the operating system in one write before the call it tells of is made, so
//! a process that is killed leaves every call that it has made, and at most a torn last frame.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, Read, Write},
    path::Path,
};

use super::{Call, Event, Keeps, Outcome, Place, codec};

/// Bytes before the event.
const HEAD: usize = 8;
/// No event is longer.
const MOST: usize = 64 << 20;

/// Records a history.
#[derive(Debug)]
pub(crate) struct Recorder<W> {
    out: W,
    next: u64,
    frame: Vec<u8>,
}

impl<W: Write> Recorder<W> {
    /// Begins a history.
    ///
    /// Give it a bare file if the process may be killed: a buffer would die with it.
    pub(crate) fn new(out: W) -> Self {
        Self {
            out,
            next: 0,
            frame: Vec::new(),
        }
    }

    /// Records a call that is about to be made; its number.
    pub(crate) fn invoked(&mut self, client: u32, call: Call) -> io::Result<u64> {
        let operation = self.next;
        self.next += 1;
        self.record(&Event::Invoked {
            operation,
            client,
            call,
        })?;
        Ok(operation)
    }

    /// Records the answer to a call.
    pub(crate) fn completed(&mut self, operation: u64, outcome: Outcome) -> io::Result<()> {
        self.record(&Event::Completed { operation, outcome })
    }

    /// Records that a new life begins.
    pub(crate) fn restarted(&mut self) -> io::Result<()> {
        self.record(&Event::Restarted)
    }

    /// Records what a place keeps.
    pub(crate) fn declared(&mut self, place: Place, keeps: Keeps) -> io::Result<()> {
        self.record(&Event::Declared { place, keeps })
    }

    /// Records what the log's clock shows.
    pub(crate) fn clock(&mut self, millis: u64) -> io::Result<()> {
        self.record(&Event::Clock { millis })
    }

    /// Records that bytes of the log are damaged from here on.
    pub(crate) fn rotted(&mut self) -> io::Result<()> {
        self.record(&Event::Rotted)
    }

    /// Gives up the history: all of it is in `W`.
    pub(crate) fn into_inner(self) -> W {
        self.out
    }

    fn record(&mut self, event: &Event) -> io::Result<()> {
        self.frame.clear();
        self.frame.resize(HEAD, 0);
        codec::encode(event, &mut self.frame);
        let (head, body) = self.frame.split_at_mut(HEAD);
        let len = u32::try_from(body.len()).map_err(io::Error::other)?;
        head[..4].copy_from_slice(&len.to_le_bytes());
        head[4..].copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
        self.out.write_all(&self.frame)
    }
}

impl Recorder<File> {
    /// Goes on with the history in a file, after the process that wrote it has ended.
    pub(crate) fn resume(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.create(true).append(true).read(true).open(path)?;
        let mut events = Events::new(&file);
        while events.next().transpose()?.is_some() {}
        let whole = events.whole;
        file.set_len(whole)?;
        let mut recorder = Self::new(file);
        recorder.restarted()?;
        Ok(recorder)
    }
}

/// The events of a history, up to a torn end.
#[derive(Debug)]
pub(crate) struct Events<R> {
    input: BufReader<R>,
    /// Bytes of whole frames so far.
    whole: u64,
    body: Vec<u8>,
}

impl<R: Read> Events<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            input: BufReader::with_capacity(64 << 10, input),
            whole: 0,
            body: Vec::new(),
        }
    }

    /// The next event; none at the end, be it torn or not.
    fn event(&mut self) -> io::Result<Option<Event>> {
        let mut head = [0; HEAD];
        if read(&mut self.input, &mut head)? < HEAD {
            return Ok(None);
        }
        let number = |at: usize| {
            let bytes = head[at..].first_chunk().expect("the head is long enough");
            u32::from_le_bytes(*bytes)
        };
        let len = number(0) as usize;
        if len > MOST {
            return Err(self.damaged());
        }
        self.body.resize(len, 0);
        if read(&mut self.input, &mut self.body)? < len {
            return Ok(None);
        }
        let sound = crc32c::crc32c(&self.body) == number(4);
        let event = sound.then(|| codec::decode(&self.body)).flatten();
        let event = event.ok_or_else(|| self.damaged())?;
        self.whole += (HEAD + len) as u64;
        Ok(Some(event))
    }

    fn damaged(&self) -> io::Error {
        let sentence = format!("the history is damaged at byte {}", self.whole);
        io::Error::new(io::ErrorKind::InvalidData, sentence)
    }
}

impl<R: Read> Iterator for Events<R> {
    type Item = io::Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        self.event().transpose()
    }
}

/// Fills `bytes`, or what there is of them; how many.
fn read(input: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match input.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::{super::Isolation, *};

    const PLACE: Place = Place {
        topic: 7,
        partition: 300,
    };

    /// Events that `write` writes.
    const ALL: usize = 6 + 3 * 7;

    fn write(recorder: &mut Recorder<impl Write>) {
        let send = Call::Send {
            place: PLACE,
            transaction: None,
            first: u64::MAX - 9,
            count: 9,
        };
        let poll = Call::Poll {
            place: PLACE,
            transaction: Some(0),
            from: 1 << 40,
            sought: true,
            isolation: Isolation::Uncommitted,
        };
        let polled = Outcome::Polled {
            next: 3,
            end: u64::MAX,
            records: vec![(9, u64::MAX), (2, 0), (u64::MAX, 1 << 63)],
        };
        let commit = Call::Commit { transaction: 5 };
        let abort = Call::Abort { transaction: 5 };
        for (topic, keeps) in (0..).zip([
            Keeps::Everything,
            Keeps::UntilRestarted,
            Keeps::Younger { millis: 300 },
            Keeps::LastOfKey { millis: 1 << 40 },
        ]) {
            let place = Place { topic, ..PLACE };
            recorder.declared(place, keeps).unwrap();
        }
        recorder.clock(1 << 41).unwrap();
        recorder.rotted().unwrap();
        for (call, outcome) in [
            (send, Outcome::Sent { base: 128 }),
            (poll, polled),
            (commit, Outcome::Done),
            (abort, Outcome::Failed),
            (poll, Outcome::Expired { start: 300 }),
            (Call::Open, Outcome::Damaged),
            (send, Outcome::Unknown),
        ] {
            let operation = recorder.invoked(3, call).unwrap();
            recorder.completed(operation, outcome).unwrap();
            recorder.restarted().unwrap();
        }
    }

    fn history() -> Vec<u8> {
        let mut recorder = Recorder::new(Vec::new());
        write(&mut recorder);
        recorder.into_inner()
    }

    fn events(bytes: &[u8]) -> io::Result<Vec<Event>> {
        Events::new(bytes).collect()
    }

    #[test]
    fn every_kind_of_event_comes_back_as_it_was() {
        let read = events(&history()).unwrap();
        let mut again = Recorder::new(Vec::new());
        for event in &read {
            again.record(event).unwrap();
        }
        assert_eq!(again.into_inner(), history());
        assert_eq!(read.len(), ALL);
        let Event::Completed { outcome, .. } = &read[10] else {
            panic!("{:?}", read[10]);
        };
        let records = vec![(9, u64::MAX), (2, 0), (u64::MAX, 1 << 63)];
        let (next, end) = (3, u64::MAX);
        assert_eq!(*outcome, Outcome::Polled { next, end, records });
    }

    #[test]
    fn a_history_torn_at_any_byte_gives_the_events_before_it() {
        let (bytes, all) = (history(), events(&history()).unwrap());
        for len in 0..bytes.len() {
            let some = events(&bytes[..len]).unwrap();
            assert!(some.len() < all.len() && all.starts_with(&some), "{len}");
        }
    }

    #[test]
    fn a_flipped_bit_in_an_event_is_an_error_and_never_another_event() {
        let (bytes, all) = (history(), events(&history()).unwrap());
        // Every third bit is one of each place in a byte.
        for at in (0..bytes.len() * 8).step_by(3) {
            let mut spoilt = bytes.clone();
            spoilt[at / 8] ^= 1 << (at % 8);
            // A longer length reads as a torn end.
            let read = events(&spoilt);
            assert!(read.is_err() || all.starts_with(&read.unwrap()), "{at}");
        }
    }

    #[test]
    fn a_history_goes_on_after_its_torn_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let bytes = history();
        std::fs::write(file.path(), &bytes[..bytes.len() - 20]).unwrap();
        let before = events(&bytes[..bytes.len() - 20]).unwrap();
        write(&mut Recorder::resume(file.path()).unwrap());
        let after = events(&std::fs::read(file.path()).unwrap()).unwrap();
        assert!(after.starts_with(&before));
        assert_eq!(after.len(), before.len() + 1 + ALL);
        assert_eq!(after[before.len()], Event::Restarted);
    }
}
