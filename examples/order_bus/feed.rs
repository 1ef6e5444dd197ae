//! The source of the bus: order lines of an input, at a pace, without those that were sent before.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use futures::{FutureExt as _, future::BoxFuture};
use levada::source::{Handover, Offer};
use levada::{BoxError, Incoming, Seed, Source, SourceContext, SplitReader};

use crate::{
    Generator, Held, Identity, InputError, OrderLine, Orders, Rejected, Rejects, Row, pace::Pace,
};

/// Where order lines come from.
///
/// # Examples
///
/// ```
/// use order_bus::Input;
///
/// let input = Input::Generator { seed: 7, records: 3 };
/// assert_eq!(input.rows()?.count(), 3);
/// assert_eq!(input.identity()?.to_string(), "the generator's seed 7 (version 1)");
/// # Ok::<(), order_bus::InputError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A CSV file, plain or gzip.
    File(PathBuf),
    /// Lines that are made up.
    Generator {
        /// What they follow from.
        seed: u64,
        /// How many there are.
        records: u64,
    },
}

/// The rows of an input; an error is the last.
type Rows = Box<dyn Iterator<Item = Result<Row, InputError>> + Send>;

impl Input {
    /// What tells it from other inputs.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, or is no order file.
    pub fn identity(&self) -> Result<Identity, InputError> {
        match self {
            Self::File(path) => {
                drop(Orders::open(path)?);
                Identity::of_file(path)
            }
            Self::Generator { seed, .. } => Ok(Generator::new(Seed::new(*seed)).identity()),
        }
    }

    /// Its rows from the first.
    ///
    /// # Errors
    ///
    /// As for [`identity`](Self::identity).
    pub fn rows(&self) -> Result<Rows, InputError> {
        Ok(match self {
            Self::File(path) => Box::new(Orders::open(path)?),
            Self::Generator { seed, records } => {
                let lines = Generator::new(Seed::new(*seed));
                let records = usize::try_from(*records).unwrap_or(usize::MAX);
                Box::new(lines.take(records).map(|(row, line)| Ok((row, Ok(line)))))
            }
        })
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Generator { seed, .. } => write!(f, "seed {seed}"),
        }
    }
}

/// What becomes of a row that is no order line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It is written down, and the rest flows.
    Rejected,
    /// It is written down, and ends the input with an error.
    Refused,
}

/// Reads an input: each row's offset is its number, and the rows that a topic holds are left out.
///
/// An input that fails does so only when everything before is in the topic or among the rejects.
#[derive(Debug)]
pub struct Feed {
    input: Input,
    malformed: Malformed,
    /// Rows per second; 0 for as many as can be handled.
    rate: u32,
    /// Until it is opened.
    before: Mutex<Option<(Held, Rejects)>>,
}

impl Feed {
    /// A feed of what `held` lacks, at most `rate` rows a second; 0 is no limit. What is no order
    /// line goes to `rejects`.
    pub fn new(
        input: Input,
        malformed: Malformed,
        rate: u32,
        held: Held,
        rejects: Rejects,
    ) -> Self {
        Self {
            input,
            malformed,
            rate,
            before: Mutex::new(Some((held, rejects))),
        }
    }
}

impl Source for Feed {
    type Item = OrderLine;
    type Reader = FeedReader;

    fn splits(&self) -> Result<Vec<String>, BoxError> {
        Ok(vec![self.input.to_string()])
    }

    fn open(&self, _: u32, cx: &SourceContext) -> Result<FeedReader, BoxError> {
        let (held, rejects) = lock(&self.before).take().ok_or("a feed is read once")?;
        let failure = Arc::default();
        let reading = Reading {
            rows: self.input.rows()?,
            name: self.input.to_string(),
            malformed: self.malformed,
            held,
            rejects,
            failure: Arc::clone(&failure),
        };
        let start = |offer| reading.run(offer);
        Ok(FeedReader {
            rows: Handover::start(&*cx.spawner, "order-bus-input", start)?,
            pace: (self.rate > 0).then(|| Pace::new(self.rate, Arc::clone(&cx.clock))),
            failure,
            failing: None,
        })
    }
}

/// Why an input ended too early, and the rows that must be in the topic before it is said.
struct Failure {
    error: BoxError,
    held: Held,
    /// How many rows it must hold.
    count: usize,
}

type FailureSlot = Arc<Mutex<Option<Failure>>>;

/// The thread that reads.
struct Reading {
    rows: Rows,
    name: String,
    malformed: Malformed,
    held: Held,
    rejects: Rejects,
    failure: FailureSlot,
}

impl Reading {
    async fn run(mut self, offer: Arc<Offer<OrderLine>>) -> Result<(), BoxError> {
        let mut count = self.held.count();
        loop {
            let (number, line) = match self.next() {
                Ok(Some(row)) => row,
                Ok(None) => return Ok(()),
                Err(error) => {
                    let held = self.held;
                    *lock(&self.failure) = Some(Failure { error, held, count });
                    return Ok(());
                }
            };
            count += 1;
            if offer.put(number, line).await.is_err() {
                return Ok(());
            }
        }
    }

    /// The next order line that the topic lacks, with the number of its row.
    fn next(&mut self) -> Result<Option<(u64, OrderLine)>, BoxError> {
        while let Some(row) = self.rows.next() {
            match row? {
                (number, Ok(_)) if self.held.contains(number) => {}
                (number, Ok(_)) if self.held.is_sealed() => {
                    let says =
                        "is not in the topic, which was finished before: the input has grown";
                    let advice = "choose another data folder";
                    return Err(format!("row {number} of `{}` {says}; {advice}", self.name).into());
                }
                (number, Ok(line)) => return Ok(Some((number, line))),
                (_, Err(rejected)) => self.reject(&rejected)?,
            }
        }
        Ok(None)
    }

    fn reject(&mut self, rejected: &Rejected) -> Result<(), BoxError> {
        self.rejects.write(rejected)?;
        match self.malformed {
            Malformed::Rejected => Ok(()),
            Malformed::Refused => {
                let advice = "correct it, or run without --strict";
                Err(format!("input `{}`, {rejected}: {advice}", self.name).into())
            }
        }
    }
}

/// Reads the input of a [`Feed`].
pub struct FeedReader {
    rows: Handover<OrderLine>,
    pace: Option<Pace>,
    failure: FailureSlot,
    failing: Option<BoxFuture<'static, BoxError>>,
}

impl fmt::Debug for FeedReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FeedReader")
    }
}

impl SplitReader<OrderLine> for FeedReader {
    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Incoming<OrderLine>>, BoxError>> {
        if let Some(failing) = &mut self.failing {
            return failing.poll_unpin(cx).map(Err);
        }
        if let Some(pace) = &mut self.pace {
            ready!(pace.poll_due(cx));
        }
        let row = ready!(self.rows.poll_next(cx))?;
        if row.is_some() {
            if let Some(pace) = &mut self.pace {
                pace.gave_one();
            }
            return Poll::Ready(Ok(row));
        }
        let Some(failure) = lock(&self.failure).take() else {
            return Poll::Ready(Ok(None));
        };
        let failing = self.failing.insert(failure.say().boxed());
        failing.poll_unpin(cx).map(Err)
    }
}

impl Failure {
    /// Says what is wrong once everything before is in the topic.
    async fn say(mut self) -> BoxError {
        match self.held.until(self.count).await {
            Ok(()) => self.error,
            Err(error) => error.into(),
        }
    }
}

fn lock<T>(slot: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}
