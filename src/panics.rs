//! Panics of others' code, which here are errors like any other: a decoder that meets a broken file, a
//! device that is lost while it is waited for.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// How many calls of [`caught`] this thread is inside of.
    static INSIDE: Cell<usize> = const { Cell::new(0) };
}

/// Runs `work`. Where it panics, nothing is printed, and what it would have said is returned.
///
/// # Errors
/// The words of the panic.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            // Large JPEGs are decoded by several threads.
            let file = info.location().map_or("", |location| location.file());
            if INSIDE.get() == 0 && !file.contains("jpeg-decoder") {
                loud(info);
            }
        }));
    });
    INSIDE.set(INSIDE.get() + 1);
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    INSIDE.set(INSIDE.get() - 1);
    result.map_err(words)
}

/// What a panic says: literals and formatted texts are told, anything else has none.
fn words(payload: Box<dyn Any + Send>) -> String {
    let literal = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned());
    let formatted = || payload.downcast_ref::<String>().cloned();
    literal
        .or_else(formatted)
        .unwrap_or_else(|| "no word of why".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_words() {
        assert_eq!(caught(|| 3), Ok(3));
        let number = 7;
        assert_eq!(
            caught(|| -> i32 { panic!("broken at {number}") }),
            Err("broken at 7".into())
        );
        let nested = caught(|| (caught(|| -> i32 { panic!("within") }), 4));
        assert_eq!(nested, Ok((Err("within".into()), 4)));
        assert_eq!(INSIDE.get(), 0);
    }
}
