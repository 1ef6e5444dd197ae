//! A process that is killed: what it left on real files is then looked at from outside.
//!
//! A kill loses nothing of what the operating system was given, so it says nothing about syncs;
//! the [file system that fails on command](crate::vfs) does. It shows what is shipped, on real
//! threads and files.

use std::{
    io::{self, BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    time::Duration,
};

use levada_core::{Spawner as _, Threads};

/// Lines that may wait to be heard: a process that says more blocks.
const LINES: usize = 1 << 16;

/// A process that says on its standard output, a line each, what it has done, until it is killed.
///
/// # Examples
///
/// What was said before the kill is heard, also what nobody had listened to yet:
///
/// ```
/// # if !cfg!(unix) { return Ok(()) }
/// use levada_testkit::{Heard, Victim};
/// use std::{process::Command, time::Duration};
///
/// let script = "printf 'acknowledged 1\nacknowledged 2\n'; exec sleep 600";
/// let victim = Victim::start(Command::new("sh").args(["-c", script]))?;
/// let heard = victim.listen(Duration::from_secs(60));
/// assert_eq!(heard, Heard::Line("acknowledged 1".to_owned()));
/// assert_eq!(victim.kill()?, ["acknowledged 2"]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Victim {
    child: Child,
    lines: Receiver<String>,
}

/// What came of listening to a [`Victim`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It said this.
    Line(String),
    /// It said nothing in this time.
    Nothing,
    /// It has ended, and said all that it will say.
    End,
}

impl Victim {
    /// Starts it, with its standard output taken.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or there is no thread to listen to it.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take();
        let output = output.ok_or_else(|| io::Error::other("it has no standard output"))?;
        let (sender, lines) = sync_channel(LINES);
        let read = async move {
            // The last line may be cut short by the kill, and then holds no promise.
            let mut output = BufReader::new(output);
            let mut line = String::new();
            while output.read_line(&mut line).is_ok_and(|read| read > 0) && line.ends_with('\n') {
                let said = line.trim_end().to_owned();
                line.clear();
                if sender.send(said).is_err() {
                    return;
                }
            }
        };
        let victim = Self { child, lines };
        Threads.spawn("levada-victim", Box::pin(read))?;
        Ok(victim)
    }

    /// The number of the process, for signals that are no kill.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it says next, within this time.
    pub fn listen(&self, time: Duration) -> Heard {
        match self.lines.recv_timeout(time) {
            Ok(line) => Heard::Line(line),
            Err(RecvTimeoutError::Timeout) => Heard::Nothing,
            Err(RecvTimeoutError::Disconnected) => Heard::End,
        }
    }

    /// Kills it, where there is such a thing by SIGKILL, and gives what it had said and nobody had
    /// listened to.
    ///
    /// # Errors
    ///
    /// When the operating system does not kill it.
    pub fn kill(mut self) -> io::Result<Vec<String>> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(self.lines.iter().collect())
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // After `kill` there is nothing left to kill; else nobody is to survive its test.
        let _killed = self.child.kill().and_then(|()| self.child.wait());
    }
}
