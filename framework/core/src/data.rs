//! What user types must be able to do to travel.

use serde::{Serialize, de::DeserializeOwned};

/// A value that can cross an exchange, rest in state or wait for a retry.
///
/// Implemented for everything that serde can write and read back.
///
/// # Examples
///
/// ```
/// use levada::{Codec as _, Json, prelude::*};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
/// struct Order {
///     sku: String,
///     quantity: u32,
/// }
///
/// let order = Order { sku: "tea".to_owned(), quantity: 3 };
/// let pipeline = Pipeline::new("orders");
/// let collected = Collected::new();
/// // Behind `key_by` each order crosses to the copy that owns its key.
/// pipeline
///     .source(iter([order.clone()]))
///     .key_by(|order| order.sku.clone())
///     .sink(collect(&collected));
/// pipeline.run()?;
/// assert_eq!(collected.take(), [order]);
/// # Ok::<(), Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel between stages or rest in state",
    label = "this needs `{Self}: Serialize + DeserializeOwned + Send + 'static`",
    note = "add `#[derive(Serialize, Deserialize)]` to the type, and own what it holds"
)]
pub trait Data: Serialize + DeserializeOwned + Send + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> Data for T {}
