//! What the engine promises, each module a promise, with operators written as a user would.

mod support;

/// Pipelines come to their end: by themselves, stopped, drained, aborted, or with an error.
mod ending;

/// Pipelines that belong together start together, or not at all.
mod together;

/// Topics are refused in the same words by every backend.
mod topics;

/// What a pipeline says of itself while it runs and when it starts.
mod telling;

/// Whose code failed, and on which record.
mod naming;
