//! What Levada promises, one module per promise.

#![cfg(test)]

/// Every backend does what the one conformance suite asks.
mod conformance;

/// The operator contract: what comes out is a function of what goes in.
mod contract;

/// What a newcomer gets wrong is told in a few lines, and what is right builds soon.
mod first_hour;

/// What a user's own tests cost: little time, and nothing in what is shipped.
mod in_memory;

/// Lag and counts are what a test counts itself.
mod lag;

/// Keys go to the partitions that Kafka would choose.
mod murmur2;

/// The default build needs no C compiler.
mod no_c;

/// The order bus gives true answers, whatever happens to it.
mod order_bus;

/// A program that handles signals itself keeps them.
mod own_signals;

/// The real order lines that promises are held to, and what happens where they are missing.
mod orders;

/// The order bus's true answers, computed a second time without Levada.
mod reference;

/// The list of what is shown names tests that show it.
mod requirements;

/// The files of the repository fit together.
mod structure;

/// The lines of the repository keep the house style.
mod tidy;

/// The files of the repository, for the promises about them.
mod support;
