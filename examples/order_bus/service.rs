//! What each group waits for: an outside service that takes its time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Stands for a service somewhere else: each call takes a while, and no thread is blocked by it.
///
/// It counts what it has served, as such a service would, for people to look at.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use futures::executor::block_on;
/// use order_bus::Service;
///
/// let service = Service::taking(Duration::from_millis(50), 0.0);
/// assert_eq!(block_on(service.serve("an order", 1)), "an order");
/// assert_eq!(service.served(), 1);
/// ```
#[derive(Clone, Debug)]
pub struct Service {
    wait: Duration,
    served: Arc<AtomicU64>,
}

impl Service {
    /// A service whose calls take `cost` times `work`. With `work` 0 they take no time at all.
    pub fn taking(cost: Duration, work: f64) -> Self {
        Self {
            wait: cost.mul_f64(work),
            served: Arc::default(),
        }
    }

    /// Calls the service with what holds so many records, and gives it back afterwards.
    pub fn serve<T>(&self, request: T, records: usize) -> impl Future<Output = T> + use<T> {
        let (wait, served) = (self.wait, Arc::clone(&self.served));
        async move {
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            served.fetch_add(records as u64, Ordering::Relaxed);
            request
        }
    }

    /// How many records it has served since the process started.
    pub fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }
}
