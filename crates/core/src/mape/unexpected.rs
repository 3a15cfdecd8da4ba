//! Answers that nobody waited for.

use std::fmt;

/// An input that a machine cannot have been given in that state unless something is wrong in this program. It changes nothing;
/// that it came is counted and shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unexpected {
    machine: &'static str,
    input: String,
    state: String,
}

impl Unexpected {
    pub fn new(machine: &'static str, input: &impl fmt::Debug, state: &impl fmt::Debug) -> Self {
        Self { machine, input: variant(input), state: variant(state) }
    }
}

impl fmt::Display for Unexpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} was told {} while it was {}", self.machine, self.input, self.state)
    }
}

/// The name of an enum's variant, without what is in it.
fn variant(value: &impl fmt::Debug) -> String {
    let shown = format!("{value:?}");
    let end = shown.find(|c: char| !c.is_alphanumeric()).unwrap_or(shown.len());
    shown[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_and_contents_are_not() {
        let unexpected = Unexpected::new("executor", &Some(Ok::<_, ()>(1)), &"Idle".parse::<f64>().is_ok());
        assert_eq!(unexpected.to_string(), "the executor was told Some while it was false");
    }
}
