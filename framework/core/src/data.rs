//! What user types must be able to do to travel.

use serde::{Serialize, de::DeserializeOwned};

/// A value that can cross an exchange, rest in state or wait for a retry.
///
/// Implemented for everything that serde can write and read back.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel between stages or rest in state",
    label = "this needs `{Self}: Serialize + DeserializeOwned + Send + 'static`",
    note = "add `#[derive(Serialize, Deserialize)]` to the type, and own what it holds"
)]
pub trait Data: Serialize + DeserializeOwned + Send + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> Data for T {}
