//! Images by path or by name: readers, splits, and the built-in generator.
//!
//! [`open()`] takes `builtin` or a folder, recognises what lies there, and returns a
//! [`Dataset`]: byte images in memory, ready to be uploaded once and augmented on the device.
//! [`open_for_training`] leaves in their files the images that are too many for that, or that
//! are to be cut anew every epoch. In reading order:
//!
//! - [`Images`], [`Dataset`], [`Split`]: images in memory, with their names and halves, and where
//!   each half is; [`DataError`]: what may be wrong with them; [`OpenOptions`]: what there is to
//!   choose; `open`: what lies where, and who reads it.
//! - [`builtin`]: ten classes drawn by the program.
//! - `cifar`: the CIFAR-10 and CIFAR-100 binary versions.
//! - `scan`: what lies in a folder of images, one folder per class; `tiny`: the same for the
//!   layout of Tiny-ImageNet.
//! - `tree`: such images decoded into memory, kept as one packed file (`packed`).
//! - [`Files`]: such images left where they are; `loader`: batches of them, decoded ahead of
//!   the device; [`augment`]: how they are varied; `picture`:
//!   from a file to pixels, `decode`: from those to an image.
//! - [`Normalization`]: what the network's input is scaled by.
//! - [`split`]: stratified, seeded hold-outs and subsets.
//! - [`resident`]: the data set, or a batch of it, in device memory.
//! - [`fetch`](mod@fetch): downloads.
//! - [`info()`] and [`contact_sheet()`]: looking at a data set.

pub mod augment;
pub mod builtin;
mod cifar;
pub mod classes;
pub mod contact_sheet;
mod dataset;
mod decode;
mod error;
pub mod fetch;
mod files;
mod images;
pub mod info;
pub mod loader;
mod normalization;
mod open;
mod options;
mod packed;
mod picture;
pub mod resident;
mod scan;
pub mod split;
mod stream;
mod tiny;
mod tree;

pub use contact_sheet::contact_sheet;
pub use dataset::{Dataset, Kind};
pub use error::DataError;
pub use files::Files;
pub use images::Images;
pub use info::{Info, info};
pub use loader::{Batch, Loader};
pub use normalization::Normalization;
pub use open::{open, open_for_training};
pub use options::{Crop, OpenOptions, Placement};
pub use resident::{Resident, Source};
pub use split::{Split, evenly, holdout, stratified_subset};
