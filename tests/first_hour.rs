//! The mistakes of a first hour are told in a few lines, and a long chain builds soon.

use std::{fs, path::Path, process::Command};

use levada::{Clock as _, Error, Levada, SystemClock, prelude::*};

use crate::support::root;

/// What a reader takes in at a glance: about half a screen.
const MAX_LINES: usize = 25;

/// Programs with one mistake each; what the compiler says of it lies beside them.
const MISTAKES: &[&str] = &[
    "ui/dangling.rs",
    "ui/float_key.rs",
    "ui/no_key.rs",
    "ui/no_serde.rs",
    "ui/not_clone.rs",
    "ui/wrong_type.rs",
];

/// How long a chain of sixty operators with state may build, in seconds.
const MAX_BUILD_SECONDS: f64 = 10.0;

#[test]
fn the_compiler_says_what_it_is_known_to_say() {
    let cases = trybuild::TestCases::new();
    for mistake in MISTAKES {
        cases.compile_fail(mistake);
    }
}

#[test]
fn no_message_of_the_compiler_is_long() {
    for mistake in MISTAKES {
        let file = root().join("tests").join(mistake).with_extension("stderr");
        let said = fs::read_to_string(&file).unwrap();
        for message in said.split("\n\n") {
            let lines = message.lines().count();
            assert!(lines <= MAX_LINES, "{mistake}: {lines} lines:\n{message}");
        }
    }
}

/// What is wrong with a pipeline, as the error that stops it says.
#[track_caller]
fn problem(pipeline: Pipeline) -> String {
    match pipeline.start() {
        Err(Error::Build(error)) => error.to_string(),
        other => panic!("it was built: {other:?}"),
    }
}

#[test]
fn state_without_a_name_is_refused_where_it_outlives_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let levada = Levada::open(folder.path()).unwrap();
    let pipeline = levada.pipeline("letters");
    pipeline
        .source(iter("abab".chars()))
        .key_by(|letter| *letter)
        .count()
        .sink(discard());
    let says = "`count` keeps state (`count`) and has no name to find it by after a restart: \
                add `.named(\"..\")` behind it";
    assert!(problem(pipeline).contains(says));
}

#[test]
fn a_stream_that_reaches_no_sink_is_refused() {
    let pipeline = Pipeline::new("lengths");
    let lengths = pipeline
        .source(iter(["one".to_owned()]))
        .map(|line| line.len());
    drop(lengths);
    let says = "the stream after `map` reaches no sink: end it with `.sink(..)`";
    assert!(problem(pipeline).contains(says));
}

#[cfg(unix)]
#[expect(
    clippy::print_stdout,
    reason = "the figure is what a reader of the log wants"
)]
#[test]
fn sixty_operators_with_state_build_within_ten_seconds() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sixty");
    fs::create_dir_all(folder.join("src")).unwrap();
    let manifest = format!(
        "[package]\nname = \"sixty\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [dependencies]\nlevada = {{ path = {:?} }}\n",
        root().join("framework/levada")
    );
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();

    // What it depends on is built before, with a program that does nothing.
    let program = folder.join("src/main.rs");
    fs::write(&program, "fn main() {}\n").unwrap();
    sh(&folder, "cargo build --quiet");
    fs::copy(root().join("tests/ui/sixty.rs"), &program).unwrap();
    sh(&folder, "cargo clean --quiet --package sixty");

    let clock = SystemClock::default();
    let begun = clock.now();
    let times = sh(&folder, "cargo build --quiet && times");
    let elapsed = clock.now().since(begun).as_secs_f64();
    // The clock counts what other tests do meanwhile, the processor's time what two cores do at
    // once: a developer waits for no longer than the lower of the two.
    let seconds = elapsed.min(of_children(&times));
    println!("60 operators with state: {seconds:.1} s ({elapsed:.1} s on the clock)");
    assert!(
        seconds <= MAX_BUILD_SECONDS,
        "60 operators with state build for {seconds:.1} s"
    );
    sh(&folder, "cargo run --quiet");
}

/// Runs a line in `folder`, with its own target folder, and returns what it wrote.
fn sh(folder: &Path, line: &str) -> String {
    let mut command = Command::new("sh");
    command.current_dir(folder).args(["-c", line]);
    command.env("CARGO_TARGET_DIR", folder.join("target"));
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`{line}` failed: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// The processor's time of what a shell ran, in seconds: `times` writes it into its second line,
/// as `0m8.04s 0m0.54s`.
fn of_children(times: &str) -> f64 {
    let line = times.lines().nth(1).unwrap();
    let seconds = |time: &str| {
        let (minutes, seconds) = time.trim_end_matches('s').split_once('m').unwrap();
        minutes.parse::<f64>().unwrap() * 60.0 + seconds.parse::<f64>().unwrap()
    };
    line.split_whitespace().map(seconds).sum()
}

#[test]
fn user_and_system_time_of_children_are_added_up() {
    let times = "0m0.01s 0m0.02s\n1m8.25s 0m0.50s\n";
    assert!((of_children(times) - 68.75).abs() < 1e-9);
}
