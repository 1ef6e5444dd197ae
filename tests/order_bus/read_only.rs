//! A bus that only reads makes nothing where there is nothing to read.

use super::program::Bus;

#[test]
fn a_data_folder_that_is_not_there_is_named_and_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let ended = Bus::start(folder.path(), &["--read-only"]).wait();
    let data = folder.path().join("data");
    ended.assert_refused(1, &[data.to_str().unwrap(), "holds no log", "--data"]);
    assert!(!data.exists() && !folder.path().join("results").exists());
}
