//! Text in which `{variables}` stand for something that differs with each request.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::io::Write as _;

/// What the variables of one request are.
#[derive(Clone, Copy, Debug)]
pub struct Values {
    /// The request's number among its client's, from 1; those that were dropped have theirs too.
    pub number: u64,
    pub client: u32,
    /// Of the client's profile.
    pub tick: u32,
    /// Together with `number` it decides the random ones: they are the same however the requests before it fared.
    pub seed: u64,
}

/// Text with variables, read once and rendered for each request.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Text(Vec<Piece>);

#[derive(Clone, PartialEq, Debug)]
enum Piece {
    Fixed(String),
    Number,
    Client,
    Tick,
    /// Both ends are included.
    Random {
        low: u64,
        high: u64,
    },
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wrong {
    Unknown(String),
    Range(String),
    Open,
}

/// For whoever wrote one that there is not.
pub const KNOWN: &str =
    "variables are {n}, {client}, {tick} and {random LOW..HIGH} (both included); write {{ for a brace";

impl Text {
    pub fn fixed(text: &str) -> Self {
        Self(Vec::from([Piece::Fixed(text.to_owned())]))
    }

    pub fn parse(text: &str) -> Result<Self, Wrong> {
        let (mut pieces, mut fixed, mut rest) = (Vec::new(), String::new(), text);
        while let Some((before, after)) = rest.split_once('{') {
            fixed.push_str(before);
            if let Some(after) = after.strip_prefix('{') {
                fixed.push('{');
                rest = after;
                continue;
            }
            let (name, after) = after.split_once('}').ok_or(Wrong::Open)?;
            pieces.push(Piece::Fixed(std::mem::take(&mut fixed)));
            pieces.push(Piece::named(name)?);
            rest = after;
        }
        fixed.push_str(rest);
        pieces.push(Piece::Fixed(fixed));
        let mut text = Self::default();
        text.append(Self(pieces));
        Ok(text)
    }

    /// Texts beside each other become one, so that rendering copies as few times as it can.
    pub fn append(&mut self, other: Text) {
        for piece in other.0 {
            match (self.0.last_mut(), piece) {
                (_, Piece::Fixed(more)) if more.is_empty() => {}
                (Some(Piece::Fixed(text)), Piece::Fixed(more)) => text.push_str(&more),
                (_, piece) => self.0.push(piece),
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its length in bytes, when it is always the same.
    pub fn fixed_length(&self) -> Option<usize> {
        match self.0.as_slice() {
            [] => Some(0),
            [Piece::Fixed(text)] => Some(text.len()),
            _ => None,
        }
    }

    pub fn render(&self, values: &Values, into: &mut Vec<u8>) {
        let mut random = None;
        for piece in &self.0 {
            let number = match piece {
                Piece::Fixed(text) => {
                    into.extend_from_slice(text.as_bytes());
                    continue;
                }
                Piece::Number => values.number,
                Piece::Client => values.client.into(),
                Piece::Tick => values.tick.into(),
                Piece::Random { low, high } => {
                    random.get_or_insert_with(|| draws_of(values)).random_range(*low..=*high)
                }
            };
            write!(into, "{number}").expect("memory takes all that is written");
        }
    }
}

/// A generator for each request costs less than sending it, and makes requests independent of each other.
fn draws_of(values: &Values) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(values.seed);
    rng.set_stream(values.number);
    rng
}

impl Piece {
    fn named(name: &str) -> Result<Self, Wrong> {
        match name {
            "n" => Ok(Piece::Number),
            "client" => Ok(Piece::Client),
            "tick" => Ok(Piece::Tick),
            _ => {
                let range = name.strip_prefix("random ").ok_or_else(|| Wrong::Unknown(name.to_owned()))?;
                let ends = range
                    .split_once("..")
                    .and_then(|(low, high)| Some((low.trim().parse::<u64>().ok()?, high.trim().parse::<u64>().ok()?)));
                match ends {
                    Some((low, high)) if low <= high => Ok(Piece::Random { low, high }),
                    Some(_) | None => Err(Wrong::Range(range.to_owned())),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(text: &str, number: u64) -> String {
        let mut bytes = Vec::new();
        Text::parse(text).unwrap().render(&Values { number, client: 7, tick: 3, seed: 1 }, &mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn variables_are_replaced_and_doubled_braces_are_braces() {
        assert_eq!(rendered("plain", 1), "plain");
        assert_eq!(rendered("/{n}/{client}/{tick}", 42), "/42/7/3");
        assert_eq!(rendered(r#"{{"id": {n}}"#, 5), r#"{"id": 5}"#);
        assert_eq!(rendered("{{{n}}", 5), "{5}");
        assert_eq!(rendered("}", 1), "}");
        assert_eq!(rendered("", 1), "");
    }

    #[test]
    fn random_numbers_stay_in_their_range_reach_both_ends_and_come_again_for_the_same_seed() {
        let draws: Vec<u64> = (0..200).map(|number| rendered("{random 2..4}", number).parse().unwrap()).collect();
        assert_eq!(draws.iter().collect::<std::collections::BTreeSet<_>>(), [2, 3, 4].iter().collect());
        assert_eq!(draws[17].to_string(), rendered("{random 2..4}", 17));
        assert_ne!(rendered("{random 0..18446744073709551615}", 1), rendered("{random 0..18446744073709551615}", 2));
    }

    #[test]
    fn text_without_variables_is_one_piece_of_known_length() {
        assert_eq!(Text::parse("a{{b").unwrap(), Text::fixed("a{b"));
        assert_eq!(Text::parse("a{{b").unwrap().fixed_length(), Some(3));
        assert_eq!(Text::parse("").unwrap().fixed_length(), Some(0));
        assert_eq!(Text::parse("{n}").unwrap().fixed_length(), None);
    }

    #[test]
    fn what_is_no_variable_is_refused() {
        assert_eq!(Text::parse("/{number}"), Err(Wrong::Unknown("number".to_owned())));
        assert_eq!(Text::parse("/{}"), Err(Wrong::Unknown(String::new())));
        assert_eq!(Text::parse("/{n"), Err(Wrong::Open));
        for range in ["", "1", "4..2", "-1..2", "a..b", "1..99999999999999999999"] {
            assert_eq!(Text::parse(&format!("{{random {range}}}")), Err(Wrong::Range(range.to_owned())), "{range}");
        }
    }
}
