//! Running tasks ahead of their turn, on several threads, without anybody noticing.
//!
//! - [`workers`]: the threads
//! - [`graph`]: which tasks must wait for which, because of the accounts they declare
//! - [`window`]: the tasks that are under way at a time, what they leave in accounts, and which of them must run again
//! - [`pace`]: how far to run ahead, and with which programs not at all

mod graph;
mod pace;
mod window;
mod workers;

pub use window::{Moment, Observer};
pub(crate) use window::{Run, View, Window};
pub(crate) use workers::Workers;
