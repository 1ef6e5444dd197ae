//! All groups as metrics show them, also those that no pipeline reads for.
//!
//! A group goes on falling behind when its pipeline has ended, and retention does not wait for it.
//! So while a pipeline runs its own [`Progress`] tells how far its groups are; before and after,
//! what they have committed does. A group that commits nothing is shown where its last pipeline in
//! this process left it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use levada_core::{Timestamp, backend::Backend};

use crate::{progress::Progress, reading::Reading};

/// What the lag monitor looks at.
#[derive(Debug, Default)]
pub(crate) struct Groups(Mutex<Watched>);

#[derive(Debug, Default)]
struct Watched {
    /// Pipelines that run; those that are gone fall out.
    running: Vec<Weak<Progress>>,
    /// By group, topic and partition. Bounded by the positions that there are.
    idle: BTreeMap<(String, String, u32), Arc<Reading>>,
}

impl Groups {
    /// A pipeline starts.
    pub(crate) fn watch(&self, progress: &Arc<Progress>) {
        self.lock().running.push(Arc::downgrade(progress));
    }

    /// A pipeline has ended, and does not tell any more.
    pub(crate) fn ended(&self, progress: &Arc<Progress>) {
        let mut watched = self.lock();
        let other = |it: &Weak<Progress>| it.as_ptr() != Arc::as_ptr(progress);
        watched.running.retain(other);
        for reading in progress.readings() {
            let key = (reading.group.clone(), reading.topic.clone(), reading.number);
            watched.idle.insert(key, Arc::clone(reading));
        }
    }

    /// The pipelines that run.
    pub(crate) fn running(&self) -> Vec<Arc<Progress>> {
        let mut watched = self.lock();
        watched.running.retain(|it| it.strong_count() > 0);
        watched.running.iter().filter_map(Weak::upgrade).collect()
    }

    /// What no running pipeline reads, of each group that has a position, as it stands now.
    pub(crate) fn idle(&self, backend: &dyn Backend) -> Vec<Arc<Reading>> {
        let running = self.running();
        let readings = running.iter().flat_map(|it| it.readings());
        let busy: BTreeSet<_> = readings.map(|it| (&*it.group, &*it.topic)).collect();
        let mut watched = self.lock();
        for position in backend.all_positions() {
            if busy.contains(&(&*position.group, &*position.topic)) {
                continue;
            }
            let (group, topic) = (position.group.clone(), position.topic.clone());
            let key = (group, topic, position.partition);
            if let Some(known) = watched.idle.get(&key) {
                known.stands_at(position.offset);
            } else if let Ok(reading) = Reading::idle(position, backend) {
                watched.idle.insert(key, Arc::new(reading));
            }
        }
        let idle = watched.idle.values();
        let idle = idle.filter(|it| !busy.contains(&(&*it.group, &*it.topic)));
        idle.cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the recorder of these.
pub(crate) async fn publish(idle: Vec<Arc<Reading>>, now: Timestamp) {
    for reading in idle {
        reading.publish(reading.lag(now).await);
    }
}
