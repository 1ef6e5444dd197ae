//! A process that is killed, again and again, has lost nothing that it acknowledged.

use std::process::Command;

/// Few cycles, so that this is done in seconds: what a hundred of them must have shown is judged by
/// `cargo campaign --only kills --judged`.
#[test]
fn killed_process_loses_nothing_that_was_acknowledged() {
    let output = Command::new(env!("CARGO_BIN_EXE_levada-campaign"))
        .args(["--only", "kills", "--count", "10"])
        .output()
        .expect("the program was built with this test");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("kills: reached 10"), "{said}");
    assert!(said.contains("kills: NOT JUDGED: "), "{said}");
    assert!(!said.contains(" 0 records acknowledged"), "{said}");
}
