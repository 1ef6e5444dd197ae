//! No C compiler is needed: nothing that the default build or its tests use compiles C.

use std::process::Command;

use crate::support::root;

/// Packages that compile C, or find a C library, when they are built.
const COMPILE_C: &[&str] = &["cc", "cmake", "bindgen", "aws-lc-sys", "openssl-sys"];

#[test]
fn nothing_in_the_default_build_compiles_c() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .current_dir(root())
        .args(["tree", "--workspace", "--edges", "normal,build,dev"]);
    let output = cargo
        .args(["--prefix", "none"])
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let tree = String::from_utf8(output.stdout).expect("cargo writes UTF-8");

    let name = |line: &str| line.split(' ').next().map(str::to_owned);
    let packages: Vec<String> = tree.lines().filter_map(name).collect();
    assert!(
        packages.iter().any(|package| package == "levada-core"),
        "not our tree:\n{tree}"
    );
    let found: Vec<_> = packages
        .iter()
        .filter(|package| COMPILE_C.contains(&package.as_str()))
        .collect();
    assert!(
        found.is_empty(),
        "cargo tree --invert shows who needs them: {found:?}"
    );
}
