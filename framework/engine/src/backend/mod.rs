//! The backends that come with the engine: the embedded log, and one in memory.

mod embedded;
mod memory;

use levada_core::backend::{BackendError, TopicSpec};
use levada_log::Error as LogError;

pub use self::{embedded::EmbeddedBackend, memory::MemoryBackend};

/// Refuses a topic that is not as it was asked for.
fn differs(name: &str, is: &TopicSpec, asked: &TopicSpec) -> Result<(), BackendError> {
    let differs = |is: String, asked: String| {
        Err(BackendError::TopicDiffers {
            topic: name.to_owned(),
            is,
            asked,
        })
    };
    if is.partitions != asked.partitions {
        let say = |n: u32| format!("{n} partitions");
        return differs(say(is.partitions), say(asked.partitions));
    }
    if is.codec != asked.codec {
        return differs(
            format!("codec {}", is.codec),
            format!("codec {}", asked.codec),
        );
    }
    Ok(())
}

/// What the log says, in its own words: the backend in memory says the same.
#[expect(
    clippy::needless_pass_by_value,
    reason = "it stands where errors are mapped"
)]
fn refused(error: LogError) -> BackendError {
    BackendError::Failed(error.to_string().into())
}
