//! The example's program, as a process that tests start, listen to and kill.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, sync_channel},
    },
    time::Duration,
};

use levada::{Clock as _, Spawner as _, SystemClock, Threads};

use crate::support::root;

/// The program, built once with the profile of the tests.
pub(super) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        // The tests lie in `<target>/<profile>/deps`, examples beside that.
        let tests = std::env::current_exe().unwrap();
        let profile = tests.ancestors().nth(2).unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(root()).arg("build").arg("--target-dir");
        cargo.arg(profile.parent().unwrap());
        cargo.args(["--package", "levada-examples", "--example", "order_bus"]);
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        let output = cargo.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "the example does not build: {said}"
        );
        profile.join("examples").join("order_bus")
    })
}

/// Held while a process begins: for a moment it has all that this one has open, and what is closed
/// here meanwhile stays locked. So it is held as well where a data folder is let go.
pub(super) fn no_process_begins() -> MutexGuard<'static, ()> {
    static BEGINNING: Mutex<()> = Mutex::new(());
    BEGINNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Longer than anything here takes: what is not done by then never is.
const PATIENCE: Duration = Duration::from_mins(2);

/// A started program. Killed when it is dropped.
#[derive(Debug)]
pub(super) struct Bus {
    child: Child,
    /// What it says on standard error, line by line; closed when it is gone.
    lines: Receiver<String>,
    said: Vec<String>,
}

/// The exit code of a command line that means nothing.
const USAGE: i32 = 2;

/// How a program ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) code: Option<i32>,
    said: Vec<String>,
}

impl Bus {
    /// Starts the program with its folders inside `folder`.
    pub(super) fn start(folder: &Path, args: &[&str]) -> Self {
        Self::spawn(Command::new(program()), folder, args)
    }

    /// Starts a command that runs the program with the arguments it is given.
    pub(super) fn spawn(mut command: Command, folder: &Path, args: &[&str]) -> Self {
        command.arg("--data").arg(folder.join("data"));
        command.arg("--results").arg(folder.join("results"));
        command.args(args).env_remove("RUST_LOG");
        let beginning = no_process_begins();
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        drop(beginning);
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (say, lines) = sync_channel(1024);
        let listen = async move {
            for line in stderr.lines().map_while(Result::ok) {
                if say.send(line).is_err() {
                    break;
                }
            }
        };
        Threads.spawn("stderr", Box::pin(listen)).unwrap();
        Self {
            child,
            lines,
            said: Vec::new(),
        }
    }

    /// Waits until the topic holds so many records, by the program's progress lines.
    pub(super) fn until_sent(&mut self, records: u64) {
        self.until(|line| sent(line).is_some_and(|sent| sent >= records));
    }

    /// Waits for such a line.
    pub(super) fn until(&mut self, mut is_it: impl FnMut(&str) -> bool) {
        let waiting = SystemClock::new();
        while self.hear(&waiting) {
            if self.said.last().is_some_and(|line| is_it(line)) {
                return;
            }
        }
        panic!("it did not come: {:#?}", self.said);
    }

    /// Waits for the next line; false if the program is gone.
    fn hear(&mut self, waiting: &SystemClock) -> bool {
        let left = PATIENCE.saturating_sub(waiting.elapsed());
        match self.lines.recv_timeout(left) {
            Ok(line) => self.said.push(line),
            Err(RecvTimeoutError::Disconnected) => return false,
            Err(RecvTimeoutError::Timeout) => panic!("it takes for ever: {:#?}", self.said),
        }
        true
    }

    /// SIGKILL: no time for last words.
    pub(super) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM: a request to stop.
    pub(super) fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends a signal.
    pub(super) fn signal(&self, name: &str) {
        let mut kill = Command::new("kill");
        kill.args([&format!("-{name}"), &self.child.id().to_string()]);
        let _beginning = no_process_begins();
        assert!(kill.status().unwrap().success());
    }

    /// Waits for its end.
    pub(super) fn wait(mut self) -> Ended {
        let waiting = SystemClock::new();
        while self.hear(&waiting) {}
        Ended {
            code: self.child.wait().unwrap().code(),
            said: std::mem::take(&mut self.said),
        }
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        // Already gone, unless a test has failed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// How many records a progress line says were sent.
fn sent(line: &str) -> Option<u64> {
    line.strip_prefix("orders: ")?
        .split(' ')
        .next()?
        .parse()
        .ok()
}

impl Ended {
    /// Asserts that it ended well.
    pub(super) fn assert_success(&self) {
        assert_eq!(self.code, Some(0), "{:#?}", self.said);
    }

    /// Asserts that it ended with this code and one sentence that has all of `parts`, and said
    /// nothing else but how far it was, and before that of a disk that fills up.
    pub(super) fn assert_refused(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{:#?}", self.said);
        let is_alarm = |line: &str| line.contains("levada_log::cleaner::space: there is ");
        let said = self.said.iter();
        let mut said = said.filter(|line| sent(line).is_none() && !is_alarm(line));
        let error = said.next().map_or("", String::as_str);
        assert!(error.starts_with("error: "), "{:#?}", self.said);
        for part in parts {
            assert!(error.contains(part), "`{part}` is not in {error:?}");
        }
        // A usage error is followed by how to use it.
        let rest: Vec<_> = said.filter(|_| code != USAGE).collect();
        assert!(rest.is_empty(), "{rest:#?} beside {error:?}");
    }

    /// What it said first.
    pub(super) fn first_line(&self) -> &str {
        self.said.first().map_or("", String::as_str)
    }

    /// What it said last.
    pub(super) fn last_line(&self) -> &str {
        self.said.last().map_or("", String::as_str)
    }

    /// Whether a line has this.
    pub(super) fn has_said(&self, part: &str) -> bool {
        self.said.iter().any(|line| line.contains(part))
    }
}
