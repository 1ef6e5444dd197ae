//! Each fault is seen, each promise of a sync holds, and a seed repeats all of it.

use super::*;

const PAGE: usize = 4096;

fn fs(seed: u64) -> FaultyFs {
    FaultyFs::new(Seed::new(seed))
}

/// A file whose name is durable.
fn named(fs: &FaultyFs, path: &str) -> Box<dyn VfsFile> {
    let file = fs.open(Path::new(path), Open::CreateNew).unwrap();
    fs.sync_dir(Path::new("/")).unwrap();
    file
}

/// What power cuts by 200 seeds leave of one scene.
fn cuts(scene: impl Fn(&FaultyFs)) -> Vec<FaultyFs> {
    let cut = |seed| {
        let fs = fs(seed);
        scene(&fs);
        fs.power_cut(Keep::Any)
    };
    (0..200).map(cut).collect()
}

fn total(cuts: &[FaultyFs]) -> Fired {
    let mut total = Fired::default();
    for fs in cuts {
        total += fs.fired();
    }
    total
}

#[test]
fn synced_bytes_under_a_synced_name_survive_every_power_cut() {
    let cuts = cuts(|fs| {
        let file = named(fs, "/a");
        file.write_all_at(b"kept", 0).unwrap();
        file.sync_data().unwrap();
        file.write_all_at(b"unsynced", 4).unwrap();
    });
    assert!(
        cuts.iter()
            .all(|fs| fs.contents("/a").unwrap().starts_with(b"kept"))
    );
}

#[test]
fn unsynced_write_is_kept_torn_or_lost_and_grown_files_have_zeros_or_garbage() {
    let cuts = cuts(|fs| {
        let file = named(fs, "/a");
        file.write_all_at(&[7; 3 * PAGE], 0).unwrap();
    });
    let found: Vec<_> = cuts.iter().map(|fs| fs.contents("/a").unwrap()).collect();
    assert!(found.iter().any(|bytes| *bytes == [7; 3 * PAGE]));
    assert!(found.iter().any(Vec::is_empty));
    assert!(found.iter().any(|bytes| *bytes == [0; 3 * PAGE]));
    let at = |bytes: &[u8], byte: usize| bytes.get(byte).copied().unwrap_or(0);
    let torn = |byte: usize| {
        found
            .iter()
            .any(|bytes| at(bytes, byte - 1) != at(bytes, byte))
    };
    assert!(
        torn(512) && torn(PAGE),
        "a block was kept and the next lost"
    );
    let at_any_byte =
        |bytes: &Vec<u8>| !bytes.len().is_multiple_of(512) && bytes.iter().all(|b| *b == 7);
    assert!(found.iter().any(at_any_byte));
    let total = total(&cuts);
    for fault in [
        Fault::LostWrite,
        Fault::TornWrite,
        Fault::ZeroTail,
        Fault::GarbageTail,
    ] {
        assert!(total[fault] > 0, "{fault}");
    }
}

#[test]
fn later_unsynced_write_may_survive_an_earlier_one() {
    let scene = |fs: &FaultyFs| {
        let file = named(fs, "/a");
        file.write_all_at(b"first", 0).unwrap();
        file.write_all_at(b"later", 5).unwrap();
    };
    let cuts = cuts(scene);
    assert!(
        cuts.iter()
            .any(|fs| fs.contents("/a").unwrap() == b"\0\0\0\0\0later")
    );
    assert!(total(&cuts)[Fault::Reordered] > 0);

    let fs = fs(0);
    scene(&fs);
    let last = fs.power_cut(Keep::LastWrites);
    assert_eq!(last.contents("/a").unwrap(), b"\0\0\0\0\0later");
    assert_eq!(fs.power_cut(Keep::Zeros).contents("/a").unwrap(), [0; 10]);
    assert_eq!(
        fs.power_cut(Keep::Everything).contents("/a").unwrap(),
        b"firstlater"
    );
    assert_eq!(
        fs.power_cut(Keep::Garbage).contents("/a").unwrap().len(),
        10
    );
}

#[test]
fn name_is_durable_after_a_sync_of_its_folder_and_not_before() {
    let (inner, path) = (Path::new("/x/y"), Path::new("/x/y/a"));
    let cuts = cuts(|fs| {
        fs.create_dir_all(inner).unwrap();
        let file = fs.open(path, Open::CreateNew).unwrap();
        file.sync_data().unwrap();
        fs.sync_dir(inner).unwrap();
    });
    assert!(cuts.iter().any(|fs| fs.contents(path).is_some()));
    assert!(
        cuts.iter().any(|fs| fs.contents(path).is_none()),
        "`x` or `y` was lost"
    );
    assert!(total(&cuts)[Fault::LostName] > 0);
}

#[test]
fn rename_and_removal_are_done_or_undone_by_a_power_cut() {
    let cuts = cuts(|fs| {
        for (name, content) in [("/a", b"old"), ("/b", b"new"), ("/c", b"not")] {
            let file = named(fs, name);
            file.write_all_at(content, 0).unwrap();
            file.sync_data().unwrap();
        }
        fs.rename(Path::new("/b"), Path::new("/a")).unwrap();
        fs.remove_file(Path::new("/c")).unwrap();
        assert_eq!(fs.files(), [PathBuf::from("/a")]);
    });
    let names = |fs: &FaultyFs| (fs.contents("/a").unwrap(), fs.contents("/b").is_some());
    assert!(cuts.iter().any(|fs| names(fs) == (b"old".to_vec(), true)));
    assert!(cuts.iter().any(|fs| names(fs) == (b"new".to_vec(), false)));
    assert!(cuts.iter().all(|fs| names(fs).0 == b"old" || !names(fs).1));
    assert!(cuts.iter().any(|fs| fs.contents("/c").is_some()));
}

#[test]
fn kill_keeps_what_programs_saw_and_leaves_it_unsynced() {
    let fs = fs(1);
    let file = named(&fs, "/a");
    file.write_all_at(b"seen", 0).unwrap();
    let _lock = fs.lock(Path::new("/lock")).unwrap();
    let after = fs.kill();
    assert_eq!(after.contents("/a").unwrap(), b"seen");
    after.lock(Path::new("/lock")).unwrap();
    assert_eq!(after.power_cut(Keep::Nothing).contents("/a").unwrap(), b"");
}

#[test]
fn after_a_failed_sync_the_next_one_succeeds_and_the_data_is_lost() {
    let lost = |seed| {
        let fs = fs(seed);
        let file = named(&fs, "/a");
        file.write_all_at(b"lost", 0).unwrap();
        fs.inject(Fault::SyncFailed, When::After(0));
        file.sync_data().unwrap_err();
        file.sync_data().unwrap();
        fs.open(Path::new("/a"), Open::Write)
            .unwrap()
            .sync_data()
            .unwrap();
        assert_eq!(
            fs.contents("/a").unwrap(),
            b"lost",
            "it reads as if it were there"
        );
        fs.power_cut(Keep::Everything)
            .contents("/a")
            .unwrap()
            .is_empty()
    };
    assert!((0..20).any(lost));
    assert!(!(0..20).all(lost), "a part may have reached the disk");
}

#[test]
fn failed_sync_of_a_folder_leaves_its_names_unsynced() {
    let fs = fs(1);
    fs.open(Path::new("/a"), Open::CreateNew).unwrap();
    fs.inject(Fault::DirSyncFailed, When::After(0));
    fs.sync_dir(Path::new("/")).unwrap_err();
    assert_eq!(fs.power_cut(Keep::Nothing).files().len(), 0);
    fs.sync_dir(Path::new("/")).unwrap();
    assert_eq!(fs.power_cut(Keep::Nothing).files().len(), 1);
}

#[test]
fn full_disk_takes_what_fits_and_then_nothing_but_overwrites() {
    let fs = fs(1);
    let file = named(&fs, "/a");
    fs.create_dir_all(Path::new("/b/c")).unwrap();
    fs.set_room(Some(3));
    assert_eq!(file.write_at(b"water", 0).unwrap(), 3);
    let full = file.write_at(b"er", 3).unwrap_err();
    assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    assert_eq!(file.write_at(b"WAT", 0).unwrap(), 3);
    let full = fs.open(Path::new("/d"), Open::CreateNew).unwrap_err();
    assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    let full = fs.create_dir_all(Path::new("/b/d")).unwrap_err();
    assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    assert_eq!(fs.fired()[Fault::NoSpace], 4);
    let there = fs.create_dir_all(Path::new("/b/c"));
    there.expect("a folder that is there takes no room");
    fs.set_room(None);
    file.write_all_at(b"er", 3).unwrap();
    assert_eq!(fs.contents("/a").unwrap(), b"WATer");
}

#[test]
fn calls_fail_once_always_or_by_chance() {
    let fs = fs(1);
    let file = named(&fs, "/a");
    file.write_all_at(&[1; 100], 0).unwrap();
    let reads = |n: usize| {
        (0..n)
            .map(|_| file.read_at(&mut [0; 4], 0).is_ok())
            .collect::<Vec<_>>()
    };
    fs.inject(Fault::ReadError, When::After(1));
    assert_eq!(reads(3), [true, false, true]);
    fs.inject(Fault::ReadError, When::Always);
    assert_eq!(reads(3), [false; 3]);
    fs.inject(Fault::ReadError, When::OneIn(2));
    let found = reads(100);
    assert!(found.contains(&true) && found.contains(&false));
    fs.heal();

    fs.inject(Fault::Interrupted, When::After(0));
    let interrupted = file.write_at(b"x", 0).unwrap_err();
    assert_eq!(interrupted.kind(), io::ErrorKind::Interrupted);
    fs.inject(Fault::ShortWrite, When::Always);
    assert!((1..100).contains(&file.write_at(&[2; 100], 0).unwrap()));
    file.write_all_at(&[3; 100], 0).unwrap();
    assert_eq!(fs.contents("/a").unwrap(), [3; 100]);
}

#[test]
fn after_a_crash_every_call_fails_and_a_write_may_be_half_done() {
    let lens = (0..50).map(|seed| {
        let fs = fs(seed);
        let file = named(&fs, "/a");
        fs.inject(Fault::Crash, When::After(0));
        file.write_at(&[1; 10], 0).unwrap_err();
        assert!(fs.is_crashed());
        file.len().unwrap_err();
        fs.list(Path::new("/")).unwrap_err();
        fs.kill().contents("/a").unwrap().len()
    });
    let lens: Vec<_> = lens.collect();
    assert!(lens.contains(&0) && lens.contains(&10) && lens.iter().any(|len| *len % 10 != 0));
}

#[test]
fn lock_has_one_holder_until_it_is_dropped_or_forgotten() {
    let fs = fs(1);
    let first = fs.lock(Path::new("/lock")).unwrap();
    let refused = fs.lock(Path::new("/lock")).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
    fs.drop_locks();
    let second = fs.lock(Path::new("/lock")).unwrap();
    drop(first);
    fs.lock(Path::new("/lock")).unwrap_err();
    drop(second);
    fs.lock(Path::new("/lock")).unwrap();
}

#[test]
fn same_seed_gives_the_same_files_and_the_same_trace() {
    let run = |seed| {
        let fs = fs(seed);
        fs.inject(Fault::ShortWrite, When::OneIn(2));
        let file = named(&fs, "/a");
        for i in 0..20 {
            file.write_all_at(&[i; 1000], u64::from(i) * 1000).unwrap();
        }
        let cut = fs.power_cut(Keep::Any);
        cut.list(Path::new("/")).unwrap();
        (cut.contents("/a"), cut.trace(), cut.calls())
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
}

#[test]
fn rot_reaches_the_disk_and_what_programs_see() {
    let fs = fs(1);
    let file = named(&fs, "/a");
    file.write_all_at(b"water", 0).unwrap();
    file.sync_data().unwrap();
    fs.rot("/a", 2, b"d");
    assert_eq!(fs.contents("/a").unwrap(), b"wader");
    assert_eq!(
        fs.power_cut(Keep::Nothing).contents("/a").unwrap(),
        b"wader"
    );
}

#[test]
fn removed_file_gives_its_room_back_once_nobody_has_it_open() {
    let fs = fs(1);
    let file = named(&fs, "/a");
    fs.set_room(Some(10));
    let free = || fs.free_space(Path::new("/")).unwrap();
    file.write_all_at(&[1; 8], 0).unwrap();
    assert_eq!(free(), 2);
    file.set_len(6).unwrap();
    assert_eq!(free(), 4);
    fs.remove_file(Path::new("/a")).unwrap();
    assert_eq!(free(), 4, "it is open");
    drop(file);
    assert_eq!(free(), 10);

    let (next, old) = (named(&fs, "/next"), named(&fs, "/old"));
    old.write_all_at(&[1; 7], 0).unwrap();
    next.write_all_at(&[1; 3], 0).unwrap();
    drop((next, old));
    assert_eq!(free(), 0);
    fs.rename(Path::new("/next"), Path::new("/old")).unwrap();
    assert_eq!(free(), 7, "what was replaced is gone");
}
