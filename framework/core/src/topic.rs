//! A typed handle to a topic: what it is called, where it lives, how its values become bytes.

use std::{fmt, sync::Arc};

use crate::{
    Codec, Data, MessagePack,
    backend::{self, Backend, BackendError, TopicSpec},
};

/// A topic whose records hold a `T`. Cheap to clone.
///
/// # Examples
///
/// ```
/// use levada::prelude::*;
///
/// let levada = Levada::in_memory();
/// let words = levada.topic::<String>("words").partitions(1).create()?;
/// assert_eq!((words.name(), words.partitions()), ("words", 1));
///
/// let filling = levada.pipeline("filling");
/// filling.source(iter(["to", "be"].map(str::to_owned))).sink(to_topic(&words).sealing());
/// filling.run()?;
/// assert!(words.is_sealed());
/// assert_eq!(words.raw().partition(0).ends().visible, 2);
/// # Ok::<(), Error>(())
/// ```
pub struct Topic<T> {
    backend: Arc<dyn Backend>,
    raw: Arc<dyn backend::Topic>,
    codec: Arc<dyn Codec<T>>,
}

impl<T> Clone for Topic<T> {
    fn clone(&self) -> Self {
        Self {
            backend: Arc::clone(&self.backend),
            raw: Arc::clone(&self.raw),
            codec: Arc::clone(&self.codec),
        }
    }
}

impl<T> fmt::Debug for Topic<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topic")
            .field("name", &self.raw.name())
            .finish_non_exhaustive()
    }
}

impl<T> Topic<T> {
    /// Its name.
    pub fn name(&self) -> &str {
        self.raw.name()
    }

    /// How many partitions it has.
    pub fn partitions(&self) -> u32 {
        self.raw.spec().partitions
    }

    /// How values become bytes.
    pub fn codec(&self) -> &Arc<dyn Codec<T>> {
        &self.codec
    }

    /// True once it was sealed: it takes no more, and who reads it comes to an end.
    pub fn is_sealed(&self) -> bool {
        (0..self.partitions()).all(|number| self.raw.partition(number).ends().sealed)
    }

    /// Where a group stands in one of its partitions, if it has committed anything there.
    ///
    /// # Errors
    ///
    /// When the backend cannot tell.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada::prelude::*;
    ///
    /// let levada = Levada::in_memory();
    /// let words = levada.topic::<String>("words").partitions(1).create()?;
    /// let filling = levada.pipeline("filling");
    /// filling.source(iter(["to", "be"].map(str::to_owned))).sink(to_topic(&words).sealing());
    /// filling.run()?;
    /// assert_eq!(words.committed("reading", 0)?, None);
    ///
    /// let reading = levada.pipeline("reading");
    /// reading.source(topic(&words)).sink(discard());
    /// reading.run()?;
    /// assert_eq!(words.committed("reading", 0)?, Some(2));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn committed(&self, group: &str, partition: u32) -> Result<Option<u64>, BackendError> {
        let positions = self.backend.positions(group, self.raw.name())?;
        Ok(positions.get(&partition).copied())
    }

    /// The topic itself, in its backend: to append, fetch and seal by hand.
    pub fn raw(&self) -> &Arc<dyn backend::Topic> {
        &self.raw
    }
}

/// How a topic is opened, and created if it is not there.
///
/// # Examples
///
/// ```
/// use levada::{Json, prelude::*};
///
/// let levada = Levada::in_memory();
/// let words = levada.topic::<String>("words").partitions(2).codec(Json).create()?;
/// assert_eq!(words.codec().name(), "json/1");
/// # Ok::<(), Error>(())
/// ```
#[must_use = "nothing happens until it is opened"]
pub struct TopicBuilder<T> {
    backend: Arc<dyn Backend>,
    name: String,
    partitions: Option<u32>,
    codec: Arc<dyn Codec<T>>,
}

impl<T> fmt::Debug for TopicBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicBuilder")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<T: Data> TopicBuilder<T> {
    /// A topic of this name in this backend.
    pub fn new(backend: Arc<dyn Backend>, name: &str) -> Self {
        Self {
            backend,
            name: name.to_owned(),
            partitions: None,
            codec: Arc::new(MessagePack),
        }
    }

    /// How many partitions it has. Default: as it is, or 8 where it is created.
    pub fn partitions(self, partitions: u32) -> Self {
        Self {
            partitions: Some(partitions),
            ..self
        }
    }

    /// How values become bytes. Default: [`MessagePack`].
    ///
    /// See [`Codec`] for one of one's own.
    pub fn codec(self, codec: impl Codec<T>) -> Self {
        Self {
            codec: Arc::new(codec),
            ..self
        }
    }

    /// Opens the topic, creating it if it is not there.
    ///
    /// # Errors
    ///
    /// When the name is not allowed, or the topic is there with other partitions or another codec.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada::prelude::*;
    ///
    /// let levada = Levada::in_memory();
    /// assert_eq!(levada.topic::<String>("words").create()?.partitions(), 8);
    /// let refused = levada.topic::<String>("words").partitions(3).create().map(drop);
    /// let said = refused.expect_err("it has 8").to_string();
    /// assert!(said.starts_with("topic `words` has 8 partitions, not 3 partitions"), "{said}");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn create(self) -> Result<Topic<T>, BackendError> {
        let there = match self.backend.topic(&self.name) {
            Ok(topic) => Some(topic.spec().partitions),
            Err(BackendError::UnknownTopic { .. }) => None,
            Err(error) => return Err(error),
        };
        let partitions = self.partitions.or(there).unwrap_or(DEFAULT_PARTITIONS);
        let spec = TopicSpec {
            partitions,
            codec: self.codec.name().to_owned(),
        };
        let topic = self.backend.create_topic(&self.name, &spec)?;
        Ok(Topic {
            backend: self.backend,
            raw: topic,
            codec: self.codec,
        })
    }

    /// Opens the topic, which must be there.
    ///
    /// # Errors
    ///
    /// When it is not there, or was made with other partitions or another codec.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada::{Json, prelude::*};
    ///
    /// let levada = Levada::in_memory();
    /// assert!(levada.topic::<String>("words").open().is_err(), "nobody made it");
    /// levada.topic::<String>("words").create()?;
    /// let refused = levada.topic::<String>("words").codec(Json).open().map(drop);
    /// let said = refused.expect_err("it is MessagePack").to_string();
    /// assert!(said.starts_with("topic `words` has codec msgpack/1, not codec json/1"), "{said}");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn open(self) -> Result<Topic<T>, BackendError> {
        let topic = self.backend.topic(&self.name)?;
        let is = topic.spec();
        let asked = self.codec.name();
        if is.codec != asked {
            let (is, asked) = (format!("codec {}", is.codec), format!("codec {asked}"));
            return Err(BackendError::TopicDiffers {
                topic: self.name,
                is,
                asked,
            });
        }
        match self.partitions {
            Some(asked) if asked != is.partitions => Err(BackendError::TopicDiffers {
                topic: self.name,
                is: format!("{} partitions", is.partitions),
                asked: format!("{asked} partitions"),
            }),
            _ => Ok(Topic {
                backend: self.backend,
                raw: topic,
                codec: self.codec,
            }),
        }
    }
}

/// Enough for a machine or two, and a divisor of the least number of slots.
const DEFAULT_PARTITIONS: u32 = 8;
