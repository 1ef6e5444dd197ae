//! The mistakes of a first hour are told in a few lines, and a long chain builds soon.
//!
//! `ui/` has a program for each mistake and beside it what the compiler says, without what differs
//! between machines. `LEVADA_BLESS=ui cargo test` writes that anew when a change is meant.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

use levada::{Clock as _, Error, Levada, SystemClock, prelude::*};

use crate::support::root;

/// What a reader takes in at a glance: about half a screen.
const MAX_LINES: usize = 25;

const MISTAKES: &[&str] = &[
    "dangling.rs",
    "float_key.rs",
    "no_key.rs",
    "no_serde.rs",
    "not_clone.rs",
    "wrong_type.rs",
];

/// How long a chain of sixty operators with state may build, in seconds.
const MAX_BUILD_SECONDS: f64 = 10.0;

#[test]
fn the_compiler_tells_a_mistake_in_a_few_lines() {
    let bless = env::var("LEVADA_BLESS").is_ok_and(|what| what == "ui");
    for mistake in MISTAKES {
        let program = mistake.trim_end_matches(".rs");
        let output = cargo(&format!("build --quiet --color never --bin {program}"));
        assert!(!output.status.success(), "{mistake} compiles");
        let said = String::from_utf8(output.stderr).unwrap();
        for message in said.split("\n\n") {
            let lines = message.lines().count();
            let is_short = lines <= MAX_LINES;
            assert!(is_short, "{mistake}: {lines} lines:\n{message}");
        }
        let said = everywhere_alike(&said);
        let file = ui(program).with_extension("stderr");
        if bless {
            fs::write(file, said).unwrap();
        } else {
            let known = fs::read_to_string(file).unwrap();
            assert!(said == known, "{mistake}: now it says\n{said}");
        }
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
    assert_eq!(problem(pipeline), says);
}

#[test]
fn a_stream_that_reaches_no_sink_is_refused() {
    let pipeline = Pipeline::new("lengths");
    let lengths = pipeline
        .source(iter(["one".to_owned()]))
        .map(|line| line.len());
    drop(lengths);
    let says = "the stream after `map` reaches no sink: end it with `.sink(..)`";
    assert_eq!(problem(pipeline), says);
}

/// The one thing that is wrong with a pipeline.
#[track_caller]
fn problem(pipeline: Pipeline) -> String {
    match pipeline.start() {
        Err(Error::Build(error)) => {
            assert_eq!(error.problems.len(), 1, "{error}");
            error.problems.concat()
        }
        other => panic!("it was built: {other:?}"),
    }
}

/// The rows of an index of operators: what each is called, and what it does.
fn index(of: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join(of)).unwrap();
    let row = |line: &str| {
        let cells: Vec<_> = line.strip_prefix("//! | ")?.split('|').collect();
        let name = cells[0].split(['[', ']']).nth(1)?;
        Some((name.to_owned(), cells[cells.len() - 2].trim().to_owned()))
    };
    text.lines().filter_map(row).collect()
}

#[test]
fn the_front_page_lists_every_operator() {
    let (shown, listed) = (
        index("framework/levada/src/lib.rs"),
        index("operators/src/lib.rs"),
    );
    let differs = |row: &&(String, String)| !(shown.contains(row) && listed.contains(row));
    let differing: Vec<_> = shown.iter().chain(&listed).filter(differs).collect();
    assert!(differing.is_empty(), "not in both indexes: {differing:#?}");
    assert_eq!(shown, listed, "the order differs");
    assert!(!listed.is_empty());
}

#[cfg(unix)]
#[expect(
    clippy::print_stdout,
    reason = "the figure is what a reader of the log wants"
)]
#[test]
fn sixty_operators_with_state_build_within_ten_seconds() {
    let clock = SystemClock::new();
    // Other tests run meanwhile, and can only make it slower: the best of three counts.
    let build = || {
        assert!(cargo("clean --quiet --package first-hour").status.success());
        let begun = clock.elapsed();
        let output = cargo("build --quiet --bin sixty");
        assert!(output.status.success(), "it does not compile");
        // What the clock counts is theirs too; what the processor counts is of two cores at once.
        let elapsed = clock.elapsed().saturating_sub(begun).as_secs_f64();
        elapsed.min(of_children(&String::from_utf8_lossy(&output.stdout)))
    };
    let seconds = (0..3)
        .map(|_| build())
        .find(|&seconds| seconds <= MAX_BUILD_SECONDS);
    let seconds = seconds.expect("60 operators with state build within ten seconds");
    println!("60 operators with state build in {seconds:.1} s");
    assert!(cargo("run --quiet --bin sixty").status.success());
}

/// The processor's time of what a shell ran, in seconds: the second line that `times` writes, as
/// in `0m8.04s 0m0.54s`.
fn of_children(times: &str) -> f64 {
    let seconds = |time: &str| {
        let (minutes, seconds) = time.trim_end_matches('s').split_once('m').unwrap();
        minutes.parse::<f64>().unwrap() * 60.0 + seconds.parse::<f64>().unwrap()
    };
    let line = times.lines().nth(1).unwrap();
    line.split_whitespace().map(seconds).sum()
}

#[test]
fn user_and_system_time_of_children_are_added_up() {
    let times = "0m0.01s 0m0.02s\n1m8.25s 0m0.50s\n";
    assert!((of_children(times) - 68.75).abs() < 1e-9);
}

fn ui(program: &str) -> PathBuf {
    root().join("tests/ui").join(format!("{program}.rs"))
}

/// Runs cargo on a newcomer's crate: the programs of `ui/`, and Levada, which is built before.
///
/// Standard output ends with what `times` says.
fn cargo(arguments: &str) -> Output {
    static CRATE: OnceLock<PathBuf> = OnceLock::new();
    let folder = CRATE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("first-hour");
        fs::create_dir_all(folder.join("src/bin")).unwrap();
        let manifest = format!(
            "[package]\nname = \"first-hour\"\nedition = \"2024\"\n\n[workspace]\n\n\
             [dependencies]\nlevada = {{ path = {:?} }}\n",
            root().join("framework/levada")
        );
        fs::write(folder.join("Cargo.toml"), manifest).unwrap();
        fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
        fs::write(folder.join("src/lib.rs"), "").unwrap();
        for file in MISTAKES.iter().chain(&["sixty.rs"]) {
            let program = ui(file.trim_end_matches(".rs"));
            fs::copy(program, folder.join("src/bin").join(file)).unwrap();
        }
        let built = sh(&folder, "cargo build --quiet --lib");
        let errors = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "Levada does not build: {errors}");
        folder
    });
    sh(folder, &format!("cargo {arguments} && times"))
}

fn sh(folder: &Path, line: &str) -> Output {
    let mut command = Command::new("sh");
    command.current_dir(folder).args(["-c", line]);
    command.env("CARGO_TARGET_DIR", folder.join("target"));
    command.output().unwrap()
}

/// What the compiler says, without the folders, lines and columns of where things are.
fn everywhere_alike(said: &str) -> String {
    let of_here = [
        "has been written to",
        "consider using `--verbose`",
        "have detailed explanations",
        "For more information about",
        "could not compile",
    ];
    let is_of_here = |line: &&str| of_here.iter().any(|what| line.contains(what));
    let lines = said.lines().filter(|line| !is_of_here(line)).map(|line| {
        let rest = line.trim_start_matches(|c: char| c == ' ' || c.is_ascii_digit());
        match rest.get(..3) {
            Some(arrow @ ("-->" | ":::")) => format!(" {arrow} {}", file_of(&rest[3..])),
            _ if rest.starts_with(['|', '=', '+']) => format!("  {rest}"),
            _ if line.starts_with(' ') => format!("      {rest}"),
            _ => line.to_owned(),
        }
    });
    lines.collect::<Vec<_>>().join("\n").trim_end().to_owned() + "\n"
}

/// The file of a place, from the folder that it has everywhere.
fn file_of(place: &str) -> &str {
    let file = place.trim_start().split(':').next().unwrap_or(place);
    let ours = ["framework/", "operators/"]
        .iter()
        .find_map(|part| file.find(part));
    let of_others = file
        .split_once("/registry/src/")
        .and_then(|(_, file)| file.split_once('/'));
    of_others.map_or(&file[ours.unwrap_or(0)..], |(_, file)| file)
}
