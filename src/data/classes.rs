//! Whether two lists of class names are the same list: a label is a place in it.

use unicode_normalization::UnicodeNormalization;

/// How `found` differs from the class names that a network knows; `None` where it does not, or where the
/// network knows no names but the numbers that imported weights get.
///
/// Names are compared as text: composed and decomposed letters are the same.
pub fn difference(known: &[String], found: &[String]) -> Option<String> {
    if known.len() != found.len() {
        return Some(format!(
            "it knows {} classes, there are {}",
            known.len(),
            found.len()
        ));
    }
    let mut numbers = known.iter().enumerate();
    if numbers.all(|(number, name)| *name == number.to_string()) {
        return None;
    }
    let mut pairs = known.iter().zip(found).enumerate();
    let (number, (known, found)) = pairs.find(|(_, (a, b))| !a.nfc().eq(b.nfc()))?;
    Some(format!(
        "class {number} is `{}` to it, and `{}` here",
        known.escape_debug(),
        found.escape_debug()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn other_names_and_another_order_are_found() {
        let known = names("ant bee cat");
        assert_eq!(difference(&known, &names("ant bee cat")), None);
        for (found, said) in [
            ("ant bee", "knows 3 classes, there are 2"),
            ("ant cat bee", "class 1 is `bee` to it, and `cat` here"),
            ("bee cat dog", "class 0"),
            ("ant bee cat\n", "cat\\n"),
        ] {
            let difference = difference(&known, &names(found)).unwrap();
            assert!(difference.contains(said), "{difference}");
        }
        // Weights from elsewhere may know no names.
        assert_eq!(difference(&names("0 1 2"), &known), None);
        assert!(difference(&names("0 1"), &known).is_some());
        assert!(difference(&names("0 2 1"), &known).is_some());
        // é as one letter, and as e with an accent.
        assert_eq!(difference(&names("\u{e9}"), &names("e\u{301}")), None);
    }
}
