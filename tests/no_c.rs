//! No C compiler is needed: nothing that the default build or its tests use compiles C.

use crate::support::tree;

/// Packages that compile C, or find a C library, when they are built.
const COMPILE_C: &[&str] = &["cc", "cmake", "bindgen", "aws-lc-sys", "openssl-sys"];

#[test]
fn nothing_in_the_default_build_compiles_c() {
    let packages = tree(&["--workspace", "--edges", "normal,build,dev"]);
    let found: Vec<_> = packages
        .iter()
        .filter(|package| COMPILE_C.contains(&package.as_str()))
        .collect();
    assert!(
        found.is_empty(),
        "cargo tree --invert shows who needs them: {found:?}"
    );
}
