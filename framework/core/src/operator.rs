//! The contract of an operator: logic on records, with state and timers handed to it.

use std::{fmt, marker::PhantomData};

use crate::{
    BoxError, Data, Fault, Timestamp,
    chain::Run,
    graph::Grouping,
    key::Key,
    node::SideOutputs,
    record::Head,
    state::{NodeState, Time, Timer},
};

/// Logic on records.
///
/// A value of an operator is a prototype: each parallel copy and each restart clones it, then
/// opens it. Only [`record`](Self::record) is required. `In` is what comes in, `K` what the stream
/// is grouped by; an operator that needs no keys is written for every `K: Key`, and serves plain
/// streams (`K = ()`) and keyed ones alike.
///
/// An operator keeps what it remembers per key in declared state, never in its own fields: state
/// moves between copies and survives restarts, fields do neither.
///
/// # Examples
///
/// A running count per key:
///
/// ```
/// use levada::{BoxError, Context, Emit, Open, Operator, Value, prelude::*};
///
/// #[derive(Clone)]
/// struct Counting {
///     n: Value<u64>,
/// }
///
/// impl<T: Data, K: Key> Operator<T, K> for Counting {
///     type Out = (K, u64);
///
///     fn open(&mut self, open: &mut Open<'_>) -> Result<(), BoxError> {
///         open.value(&mut self.n);
///         Ok(())
///     }
///
///     fn record(
///         &mut self,
///         _: T,
///         cx: &mut Context<'_, K>,
///         out: &mut impl Emit<(K, u64)>,
///     ) -> Result<(), Fault> {
///         let key = cx.key().clone();
///         let n = cx.entry(&self.n).get_or_insert(0);
///         *n += 1;
///         out.emit((key, *n));
///         Ok(())
///     }
/// }
///
/// let pipeline = Pipeline::new("letters");
/// let counts = Collected::new();
/// let letters = pipeline.source(iter("aab".chars())).key_by(|letter| *letter);
/// letters.apply("count", Counting { n: Value::new("n") }).sink(collect(&counts));
/// pipeline.run()?;
/// assert_eq!(counts.take_sorted(), [('a', 1), ('a', 2), ('b', 1)]);
/// # Ok::<(), Error>(())
/// ```
pub trait Operator<In, K: Key = ()>: Clone + Send + 'static {
    /// What comes out.
    type Out: 'static;

    /// Declares the state and the side outputs that this operator uses.
    ///
    /// # Errors
    ///
    /// When the operator cannot work as it was configured; building the pipeline then fails.
    fn open(&mut self, open: &mut Open<'_>) -> Result<(), BoxError> {
        let _ = open;
        Ok(())
    }

    /// Handles one record.
    ///
    /// # Errors
    ///
    /// A fault stops the pipeline in order, with an error that names operator and record. An
    /// operator whose records may fail gives them a side output instead.
    fn record(
        &mut self,
        value: In,
        cx: &mut Context<'_, K>,
        out: &mut impl Emit<Self::Out>,
    ) -> Result<(), Fault>;

    /// Handles a timer of the current key.
    ///
    /// # Errors
    ///
    /// As for [`record`](Self::record).
    fn timer(
        &mut self,
        timer: Timer,
        cx: &mut Context<'_, K>,
        out: &mut impl Emit<Self::Out>,
    ) -> Result<(), Fault> {
        let _ = (timer, cx, out);
        Ok(())
    }

    /// Says what is left to say when the input has ended for good. Once per copy, on streams
    /// without keys; on keyed ones, where every record has a key, a timer at [`Timestamp::MAX`]
    /// does this per key.
    ///
    /// # Errors
    ///
    /// As for [`record`](Self::record).
    fn finish(&mut self, out: &mut impl Emit<Self::Out>) -> Result<(), Fault> {
        let _ = out;
        Ok(())
    }
}

/// Takes what an operator puts out.
///
/// # Examples
///
/// What an operator does apart from its context can be tried without a pipeline:
///
/// ```
/// use levada_core::Emit;
///
/// /// Puts out the two halves of a number.
/// fn halve(n: u32, out: &mut impl Emit<u32>) {
///     out.emit(n / 2);
///     out.emit(n - n / 2);
/// }
///
/// struct Gathered(Vec<u32>);
///
/// impl Emit<u32> for Gathered {
///     fn emit(&mut self, value: u32) {
///         self.0.push(value);
///     }
/// }
///
/// let mut out = Gathered(Vec::new());
/// halve(7, &mut out);
/// assert_eq!(out.0, [3, 4]);
/// ```
pub trait Emit<T> {
    /// Passes one value on.
    fn emit(&mut self, value: T);
}

macro_rules! handles {
    ($($(#[$doc:meta])* $handle:ident),* $(,)?) => { $(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $handle<V> {
            name: &'static str,
            slot: u32,
            of: PhantomData<fn() -> V>,
        }

        impl<V> $handle<V> {
            /// A handle under this name, to be declared in [`Operator::open`].
            pub const fn new(name: &'static str) -> Self {
                Self { name, slot: u32::MAX, of: PhantomData }
            }

            /// Its name, unique within the operator.
            pub const fn name(&self) -> &'static str {
                self.name
            }
        }

        impl<V> Clone for $handle<V> {
            fn clone(&self) -> Self {
                Self { name: self.name, slot: self.slot, of: PhantomData }
            }
        }
    )* };
}

handles! {
    /// A handle to one value per key. Holds nothing itself.
    ///
    /// See [`Operator`], which counts in one, and [`Context::entry`].
    Value,
    /// A handle to a list per key (one list per copy on a stream without keys).
    ///
    /// # Examples
    ///
    /// ```
    /// use levada::{BoxError, Context, Emit, List, Open, Operator, prelude::*};
    ///
    /// /// Puts records out in pairs.
    /// #[derive(Clone)]
    /// struct Pairs(List<char>);
    ///
    /// impl<K: Key> Operator<char, K> for Pairs {
    ///     type Out = String;
    ///
    ///     fn open(&mut self, open: &mut Open<'_>) -> Result<(), BoxError> {
    ///         open.list(&mut self.0);
    ///         Ok(())
    ///     }
    ///
    ///     fn record(
    ///         &mut self,
    ///         letter: char,
    ///         cx: &mut Context<'_, K>,
    ///         out: &mut impl Emit<String>,
    ///     ) -> Result<(), Fault> {
    ///         if cx.push(&self.0, letter) == 2 {
    ///             out.emit(cx.take(&self.0).into_iter().collect());
    ///         }
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let pipeline = Pipeline::new("pairs");
    /// let pairs = Collected::new();
    /// let letters = pipeline.source(iter("abcde".chars()));
    /// letters.apply("pairs", Pairs(List::new("held"))).sink(collect(&pairs));
    /// pipeline.run()?;
    /// assert_eq!(pairs.take(), ["ab", "cd"]);
    /// # Ok::<(), Error>(())
    /// ```
    List,
    /// A handle to a second output.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada::{BoxError, Context, Emit, Open, Operator, Side, prelude::*};
    ///
    /// /// Lets numbers through up to a limit; what is larger goes to the second output.
    /// #[derive(Clone)]
    /// struct Limit(u32, Side<u32>);
    ///
    /// impl<K: Key> Operator<u32, K> for Limit {
    ///     type Out = u32;
    ///
    ///     fn open(&mut self, open: &mut Open<'_>) -> Result<(), BoxError> {
    ///         open.side(&mut self.1);
    ///         Ok(())
    ///     }
    ///
    ///     fn record(
    ///         &mut self,
    ///         n: u32,
    ///         cx: &mut Context<'_, K>,
    ///         out: &mut impl Emit<u32>,
    ///     ) -> Result<(), Fault> {
    ///         if n > self.0 { cx.side(&self.1, n) } else { out.emit(n) }
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let large = Side::new("large");
    /// let pipeline = Pipeline::new("limited");
    /// let (within, beyond) = (Collected::new(), Collected::new());
    /// let numbers = pipeline.source(iter([3, 12, 7])).apply("limit", Limit(10, large.clone()));
    /// numbers.side(&large).sink(collect(&beyond));
    /// numbers.sink(collect(&within));
    /// pipeline.run()?;
    /// assert_eq!((within.take(), beyond.take()), (vec![3, 7], vec![12]));
    /// # Ok::<(), Error>(())
    /// ```
    Side,
}

/// What an operator declares before its first record.
///
/// # Examples
///
/// What cannot be is said when the pipeline is built:
///
/// ```
/// use levada::{BoxError, Context, Emit, Open, Operator, Value, prelude::*};
///
/// #[derive(Clone)]
/// struct First(Value<u32>);
///
/// impl<K: Key> Operator<u32, K> for First {
///     type Out = u32;
///
///     fn open(&mut self, open: &mut Open<'_>) -> Result<(), BoxError> {
///         open.value(&mut self.0);
///         Ok(())
///     }
///
///     fn record(
///         &mut self,
///         n: u32,
///         cx: &mut Context<'_, K>,
///         out: &mut impl Emit<u32>,
///     ) -> Result<(), Fault> {
///         out.emit(*cx.entry(&self.0).get_or_insert(n));
///         Ok(())
///     }
/// }
///
/// let pipeline = Pipeline::new("numbers");
/// let plain = pipeline.source(iter([1_u32, 2]));
/// plain.apply("first", First(Value::new("seen"))).sink(discard());
/// let refused = pipeline.run().expect_err("there are no keys").to_string();
/// assert!(refused.contains("state `seen` is one value per key"), "{refused}");
/// ```
#[derive(Debug)]
pub struct Open<'a> {
    name: &'a str,
    grouping: Grouping,
    states: Vec<&'static str>,
    problems: Vec<String>,
    sides: &'a mut SideOutputs,
}

impl<'a> Open<'a> {
    pub(crate) fn new(name: &'a str, grouping: Grouping, sides: &'a mut SideOutputs) -> Self {
        Self {
            name,
            grouping,
            states: Vec::new(),
            problems: Vec::new(),
            sides,
        }
    }

    pub(crate) fn done(self) -> (Vec<&'static str>, Vec<String>) {
        (self.states, self.problems)
    }

    /// The operator's name within the pipeline, as metrics and errors show it.
    pub fn name(&self) -> &str {
        self.name
    }

    /// Declares a value per key. Only a stream with keys has them.
    pub fn value<V: Data>(&mut self, handle: &mut Value<V>) {
        if self.grouping == Grouping::Plain {
            let name = handle.name;
            let what = format!("state `{name}` is one value per key, and the stream has no keys");
            self.problems
                .push(format!("{what}: call `.key_by(..)` first"));
        }
        handle.slot = self.state(handle.name);
    }

    /// Declares a list per key, or per copy on a stream without keys.
    pub fn list<V: Data>(&mut self, handle: &mut List<V>) {
        handle.slot = self.state(handle.name);
    }

    /// Declares that it sets timers, for an operator that keeps no other state. A timer is state:
    /// one that is waiting when the pipeline stops must not be forgotten.
    ///
    /// See [`Timer`].
    pub fn timers(&mut self) {
        self.state("timers");
    }

    /// Declares a second output, to be taken from the stream by the same handle.
    pub fn side<T: Data>(&mut self, handle: &mut Side<T>) {
        handle.slot = self.sides.declare::<T>(handle.name);
    }

    /// The slot of a state; slot 0 is the framework's.
    fn state(&mut self, name: &'static str) -> u32 {
        if self.states.contains(&name) {
            self.problems.push(format!(
                "state `{name}` is declared twice: give each its own name"
            ));
        }
        self.states.push(name);
        u32::try_from(self.states.len()).expect("an operator declares a few states")
    }
}

/// What an operator may see and do while it handles a record or a timer.
///
/// It sees its own state of the current key, and nothing of other operators. It does no I/O.
///
/// # Examples
///
/// How long after the one before it each record of a key happened:
///
/// ```
/// use levada::{BoxError, Context, Emit, Open, Operator, Value, prelude::*};
/// use std::time::Duration;
///
/// #[derive(Clone)]
/// struct Gaps {
///     last: Value<Timestamp>,
/// }
///
/// impl<T: Data, K: Key> Operator<T, K> for Gaps {
///     type Out = (K, Duration);
///
///     fn open(&mut self, open: &mut Open<'_>) -> Result<(), BoxError> {
///         open.value(&mut self.last);
///         Ok(())
///     }
///
///     fn record(
///         &mut self,
///         _: T,
///         cx: &mut Context<'_, K>,
///         out: &mut impl Emit<(K, Duration)>,
///     ) -> Result<(), Fault> {
///         let at = cx.event_time();
///         if let Some(before) = cx.entry(&self.last).replace(at) {
///             out.emit((cx.key().clone(), at.since(before)));
///         }
///         Ok(())
///     }
/// }
///
/// let pipeline = Pipeline::new("visits");
/// let gaps = Collected::new();
/// pipeline
///     .source(iter([("ann".to_owned(), 0), ("bob".to_owned(), 10), ("ann".to_owned(), 30)]))
///     .event_time(Duration::ZERO, |(_, second)| Timestamp::from_millis(second * 1000))
///     .key_by(|(name, _)| name.clone())
///     .apply("gaps", Gaps { last: Value::new("last") })
///     .sink(collect(&gaps));
/// pipeline.run()?;
/// assert_eq!(gaps.take(), [("ann".to_owned(), Duration::from_secs(30))]);
/// # Ok::<(), Error>(())
/// ```
pub struct Context<'a, K: Key = ()> {
    pub(crate) key: &'a K,
    pub(crate) head: &'a Head,
    pub(crate) run: &'a Run,
    pub(crate) state: &'a mut NodeState<K>,
    pub(crate) sides: &'a mut SideOutputs,
}

impl<K: Key> fmt::Debug for Context<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("head", self.head)
            .finish_non_exhaustive()
    }
}

impl<'a, K: Key> Context<'a, K> {
    /// The key of the current record or timer.
    pub fn key(&self) -> &'a K {
        self.key
    }

    /// When the current record happened; for a timer, when it fell due.
    ///
    /// [`Timestamp::MIN`] where the stream has no event time.
    pub fn event_time(&self) -> Timestamp {
        self.head.at
    }

    /// No record before this time is still to come.
    pub fn watermark(&self) -> Timestamp {
        self.state.watermark
    }

    /// The time on the wall, as of the start of this turn.
    pub fn now(&self) -> Timestamp {
        self.run.now()
    }

    /// A random number that a run with the same seed repeats.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada::{Context, Emit, Operator, Seed, prelude::*};
    ///
    /// #[derive(Clone)]
    /// struct Dice;
    ///
    /// impl<T: 'static, K: Key> Operator<T, K> for Dice {
    ///     type Out = u64;
    ///
    ///     fn record(
    ///         &mut self,
    ///         _: T,
    ///         cx: &mut Context<'_, K>,
    ///         out: &mut impl Emit<u64>,
    ///     ) -> Result<(), Fault> {
    ///         out.emit(1 + cx.random() % 6);
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let throws = |seed| -> Result<Vec<u64>, Error> {
    ///     let levada = Levada::builder().seed(Seed::new(seed)).in_memory();
    ///     let (pipeline, thrown) = (levada.pipeline("throws"), Collected::new());
    ///     pipeline.source(iter(0..20_u32)).apply("dice", Dice).sink(collect(&thrown));
    ///     pipeline.run()?;
    ///     Ok(thrown.take())
    /// };
    /// assert_eq!(throws(7)?, throws(7)?);
    /// assert_ne!(throws(7)?, throws(8)?);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn random(&mut self) -> u64 {
        self.state.rng.next_u64()
    }

    /// The value of the current key: one lookup that reads, changes and marks for capture.
    ///
    /// Setting it to `None` removes it.
    ///
    /// See [`Context`], which remembers the time of the last record of each key.
    ///
    /// # Panics
    ///
    /// If the handle was not declared in [`Operator::open`].
    #[inline]
    pub fn entry<V: Data>(&mut self, handle: &Value<V>) -> &mut Option<V> {
        assert!(
            handle.slot != u32::MAX,
            "state `{}` was not declared in `open`",
            handle.name
        );
        self.state.entry(handle.slot, self.key, self.head.hash)
    }

    /// Appends to the list of the current key and says how long it is now.
    ///
    /// See [`List`].
    ///
    /// # Panics
    ///
    /// If the handle was not declared in [`Operator::open`].
    pub fn push<V: Data>(&mut self, handle: &List<V>, value: V) -> usize {
        let list = self.list(handle).get_or_insert_with(Vec::new);
        list.push(value);
        list.len()
    }

    /// Takes the list of the current key, leaving none.
    ///
    /// See [`List`].
    ///
    /// # Panics
    ///
    /// If the handle was not declared in [`Operator::open`].
    pub fn take<V: Data>(&mut self, handle: &List<V>) -> Vec<V> {
        self.list(handle).take().unwrap_or_default()
    }

    fn list<V: Data>(&mut self, handle: &List<V>) -> &mut Option<Vec<V>> {
        assert!(
            handle.slot != u32::MAX,
            "state `{}` was not declared in `open`",
            handle.name
        );
        self.state.entry(handle.slot, self.key, self.head.hash)
    }

    /// Sets a timer of the current key, replacing one of the same kind of time and tag.
    ///
    /// The record that raises the watermark is handled before the timers that it makes due.
    ///
    /// See [`Timer`].
    ///
    /// # Panics
    ///
    /// If no state was declared in [`Operator::open`]: see [`Open::timers`].
    pub fn set_timer(&mut self, timer: Timer) {
        self.state.set_timer(timer, self.key, self.head.hash);
    }

    /// Clears a timer of the current key, if there is one.
    pub fn clear_timer(&mut self, time: Time, tag: u32) {
        self.state.clear_timer(time, tag, self.key, self.head.hash);
    }

    /// Passes a value to a second output.
    ///
    /// See [`Side`].
    ///
    /// # Panics
    ///
    /// If the handle was not declared in [`Operator::open`].
    pub fn side<T: Data>(&mut self, handle: &Side<T>, value: T) {
        assert!(
            handle.slot != u32::MAX,
            "side `{}` was not declared in `open`",
            handle.name
        );
        self.sides.push(handle.slot, value, self.head, self.run);
    }
}
