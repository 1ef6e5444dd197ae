//! What each group waits for: an outside service that takes its time.

use std::time::Duration;

/// Stands for a service somewhere else: each call takes a while, and no thread is blocked by it.
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
/// assert_eq!(block_on(service.serve("an order")), "an order");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Service {
    wait: Duration,
}

impl Service {
    /// A service whose calls take `cost` times `work`. With `work` 0 they take no time at all.
    pub fn taking(cost: Duration, work: f64) -> Self {
        Self {
            wait: cost.mul_f64(work),
        }
    }

    /// Calls the service, and gives the request back afterwards.
    pub async fn serve<T>(self, request: T) -> T {
        if !self.wait.is_zero() {
            tokio::time::sleep(self.wait).await;
        }
        request
    }
}
