//! `explain`: the state diagram, and pages about the states, about opening and closing, and about
//! the kernel's settings.
//!
//! The words are in `pages/*.md` and `drawing.txt`; the code here only lays them out. Lines are plain
//! ASCII within 80 columns, so that they read the same on any terminal, in a pager, or aloud.

pub(super) mod diagram;
mod markup;
pub mod pages;
mod settings;

pub use diagram::diagram;
pub use markup::page;

/// The widest line.
const WIDTH: usize = 80;
