//! One short life, and a crash before each of its calls in turn.

use levada_testkit::vfs::{Fault as Faulty, Keep, When};

use super::scene::{Ending, Plant, Scene};
use crate::campaign::Fault;

/// Plays the short life with a crash before call `call`, up to the crash; `None` if it came to its
/// end before.
fn crashed(seed: u64, call: u64) -> Result<Option<Scene>, Fault> {
    let mut scene = Scene::new(seed, Plant::None)?;
    scene.fs.inject(Faulty::Crash, When::After(call));
    for act in 0..16 {
        match act {
            0 | 8 => scene.create_topic(),
            13 => scene.seal()?,
            6 | 14 => scene.move_group()?,
            _ => scene.append()?,
        }
        // Every third append is committed together with the next.
        if act % 3 != 0 {
            scene.drain()?;
        }
        if scene.fs.is_crashed() {
            return Ok(Some(scene));
        }
    }
    Ok(None)
}

/// Ends the short life before each of its calls, in this way, and looks what is there. How many
/// calls there were.
fn check(ending: Ending) -> u64 {
    let seed = 2;
    for call in 0.. {
        let Some(mut scene) = crashed(seed, call).unwrap() else {
            return call;
        };
        let ended = scene.end(ending).and_then(|()| scene.finish());
        ended.unwrap_or_else(|fault| panic!("{ending:?} before call {call}: {fault}"));
    }
    0
}

#[test]
fn power_cut_before_any_call_keeps_what_was_acknowledged() {
    for ending in [Keep::Nothing, Keep::Everything, Keep::Any].map(Ending::Cut) {
        let calls = check(ending);
        assert!(calls > 150, "{calls}");
    }
}

#[test]
fn kill_before_any_call_keeps_what_was_acknowledged() {
    check(Ending::Kill);
}

#[test]
fn write_that_outlives_an_earlier_one_is_not_taken_for_records() {
    check(Ending::Cut(Keep::LastWrites));
}

#[test]
fn zeros_and_garbage_in_a_file_that_has_grown_are_not_taken_for_records() {
    check(Ending::Cut(Keep::Zeros));
    check(Ending::Cut(Keep::Garbage));
}

#[test]
fn segment_whose_name_was_not_durable_is_not_missed() {
    let mut lost = 0;
    for call in 0.. {
        let Some(mut scene) = crashed(2, call).unwrap() else {
            break;
        };
        let segments = |scene: &Scene| {
            let files = scene.fs.files().into_iter();
            let segments =
                files.filter(|path| path.components().any(|part| part.as_os_str() == "topics"));
            segments.collect::<Vec<_>>()
        };
        let before = segments(&scene);
        let after = scene.fs.power_cut(Keep::Nothing).files();
        lost += usize::from(before.iter().any(|segment| !after.contains(segment)));
        scene.end(Ending::Cut(Keep::Nothing)).unwrap();
    }
    assert!(lost > 5, "segments were begun and lost {lost} times");
}
