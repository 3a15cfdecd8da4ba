//! What an aggregate job computes, as people write it: `avg(cholesterol)`, `count(*)`, `quantile(Hgb, 0.95)`.
//!
//! A field is a member of each record: `cholesterol`, `HDL cholesterol` (spaces inside are part of the name). Dots lead
//! into nested objects: `patient.age`. A name with dots, commas or parentheses of its own is quoted as in JSON:
//! `avg("LDL (calc.)")`.

use std::fmt;
use std::str::FromStr;

/// How the values of all records become one.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Function {
    /// Of records that have the field, whatever its type (but not null); of all records for `count(*)`.
    Count,
    Sum,
    Average,
    Minimum,
    Maximum,
    /// The smallest value that at least this share of the values does not exceed; 0.0..=1.0.
    Quantile(f64),
}

/// A function of one field. Read it with `parse`.
#[derive(Clone, PartialEq, Debug)]
pub struct Expression {
    function: Function,
    /// The names that lead to the value, outermost first; empty for `count(*)`.
    field: Vec<String>,
}

/// An expression that cannot be read: where, why, and what would have been right.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{expression}`: {reason} at column {column}; {help}")]
pub struct ExpressionError {
    pub expression: String,
    /// In characters, from 1.
    pub column: usize,
    pub reason: String,
    pub help: String,
}

impl Expression {
    pub fn function(&self) -> Function {
        self.function
    }

    /// The names that lead to the value, outermost first; empty for `count(*)`.
    pub fn field(&self) -> &[String] {
        &self.field
    }
}

impl FromStr for Expression {
    type Err = ExpressionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Parser { text, at: 0 }.expression()
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.function {
            Function::Count => "count",
            Function::Sum => "sum",
            Function::Average => "avg",
            Function::Minimum => "min",
            Function::Maximum => "max",
            Function::Quantile(_) => "quantile",
        };
        write!(f, "{name}(")?;
        if self.field.is_empty() {
            f.write_str("*")?;
        }
        f.write_str(&field_text(&self.field))?;
        if let Function::Quantile(share) = self.function {
            write!(f, ", {share}")?;
        }
        f.write_str(")")
    }
}

/// A field as people write it: `patient.age`, `"LDL (calc.)"`.
pub(super) fn field_text(names: &[String]) -> String {
    let text = |name: &String| match name.is_empty() || name.trim() != name || name.contains(is_reserved) {
        true => serde_json::Value::from(name.as_str()).to_string(),
        false => name.clone(),
    };
    names.iter().map(text).collect::<Vec<_>>().join(".")
}

/// A character that ends a name without quotes.
fn is_reserved(character: char) -> bool {
    matches!(character, '(' | ')' | ',' | '.' | '"' | '*') || character.is_control()
}

struct Parser<'t> {
    text: &'t str,
    /// In bytes.
    at: usize,
}

impl<'t> Parser<'t> {
    fn expression(mut self) -> Result<Expression, ExpressionError> {
        let function = self.function_name()?;
        self.expect('(')?;
        let field = self.field(function)?;
        let function = match function {
            Function::Quantile(_) => Function::Quantile(self.share()?),
            other => other,
        };
        self.expect(')')?;
        match self.peek() {
            None => Ok(Expression { function, field }),
            Some(_) => Err(self.error(self.at, "unexpected text", "an expression ends with `)`")),
        }
    }

    /// The share of a quantile is not known yet and stands as 0.
    fn function_name(&mut self) -> Result<Function, ExpressionError> {
        self.skip_space();
        let start = self.at;
        let name = self.take_while(|c| c.is_alphanumeric() || c == '_');
        match name {
            "count" => Ok(Function::Count),
            "sum" => Ok(Function::Sum),
            "avg" => Ok(Function::Average),
            "min" => Ok(Function::Minimum),
            "max" => Ok(Function::Maximum),
            "quantile" => Ok(Function::Quantile(0.0)),
            "" => Err(self.error(start, "no function", "write it like `avg(cholesterol)`")),
            _ => {
                let help = match suggestion(name) {
                    Some(known) => format!("did you mean `{known}`? functions are {FUNCTIONS}"),
                    None => format!("functions are {FUNCTIONS}"),
                };
                Err(self.error(start, format!("unknown function `{name}`"), help))
            }
        }
    }

    fn field(&mut self, function: Function) -> Result<Vec<String>, ExpressionError> {
        if self.peek() == Some('*') {
            let help = "only `count(*)` takes all records; name a field, as in `avg(cholesterol)`";
            return match function {
                Function::Count => {
                    self.at += 1;
                    Ok(Vec::new())
                }
                _ => Err(self.error(self.at, "`*` where a field belongs", help)),
            };
        }
        let mut names = vec![self.name()?];
        while self.peek() == Some('.') {
            self.at += 1;
            names.push(self.name()?);
        }
        Ok(names)
    }

    fn name(&mut self) -> Result<String, ExpressionError> {
        self.skip_space();
        if self.peek() == Some('"') {
            return self.quoted_name();
        }
        let start = self.at;
        let name = self.take_while(|c| !is_reserved(c)).trim_end();
        if name.is_empty() {
            let help = "name the field, as in `avg(cholesterol)`; quote a name with special characters: `avg(\"a.b\")`";
            return Err(self.error(start, "no field", help));
        }
        Ok(name.to_owned())
    }

    fn quoted_name(&mut self) -> Result<String, ExpressionError> {
        let start = self.at;
        let mut names = serde_json::Deserializer::from_str(&self.text[start..]).into_iter::<String>();
        let name = names.next();
        let end = names.byte_offset();
        match name {
            Some(Ok(name)) => {
                self.at += end;
                Ok(name)
            }
            _ => Err(self.error(start, "a quoted name that does not end", "close it with `\"`; escapes are JSON's")),
        }
    }

    /// `, 0.95`
    fn share(&mut self) -> Result<f64, ExpressionError> {
        const HELP: &str = "give a share from 0 to 1, as in `quantile(cholesterol, 0.95)`";
        if self.peek() != Some(',') {
            return Err(self.error(self.at, "no share", HELP));
        }
        self.at += 1;
        self.skip_space();
        let start = self.at;
        let text = self.take_while(|c| !matches!(c, ')' | ',')).trim_end();
        match text.parse::<f64>() {
            Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
            Ok(_) | Err(_) => Err(self.error(start, format!("`{text}` is not a share"), HELP)),
        }
    }

    fn expect(&mut self, expected: char) -> Result<(), ExpressionError> {
        if self.peek() != Some(expected) {
            return Err(self.error(self.at, format!("no `{expected}`"), "write it like `avg(cholesterol)`"));
        }
        self.at += expected.len_utf8();
        Ok(())
    }

    /// The next character that is not white space.
    fn peek(&mut self) -> Option<char> {
        self.skip_space();
        self.text[self.at..].chars().next()
    }

    fn skip_space(&mut self) {
        self.take_while(char::is_whitespace);
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'t str {
        let rest = &self.text[self.at..];
        let length = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn error(&self, at: usize, reason: impl Into<String>, help: impl Into<String>) -> ExpressionError {
        ExpressionError {
            expression: self.text.to_owned(),
            column: self.text[..at].chars().count() + 1,
            reason: reason.into(),
            help: help.into(),
        }
    }
}

const FUNCTIONS: &str = "count, sum, avg, min, max, quantile";

/// The function that was probably meant: what people call it elsewhere, or one slip of the finger away.
fn suggestion(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    match name.as_str() {
        "average" | "mean" => Some("avg"),
        "total" => Some("sum"),
        "minimum" | "smallest" => Some("min"),
        "maximum" | "largest" => Some("max"),
        "median" | "percentile" => Some("quantile"),
        _ => FUNCTIONS.split(", ").find(|known| differ_by_one(known, &name)),
    }
}

/// One character more, less or another; or the same letters in another case.
fn differ_by_one(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let same_start = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let (rest_a, rest_b) = (&a[same_start..], &b[same_start..]);
    let same_end = rest_a.iter().rev().zip(rest_b.iter().rev()).take_while(|(a, b)| a == b).count();
    rest_a.len() - same_end <= 1 && rest_b.len() - same_end <= 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, function: Function, field: &[&str]) {
        let expression: Expression = text.parse().unwrap();
        assert_eq!((expression.function(), expression.field()), (function, &field.map_to_owned()[..]));
        assert_eq!(expression.to_string().parse(), Ok(expression), "what is shown can be read again");
    }

    trait MapToOwned {
        fn map_to_owned(&self) -> Vec<String>;
    }

    impl MapToOwned for [&str] {
        fn map_to_owned(&self) -> Vec<String> {
            self.iter().map(|name| (*name).to_owned()).collect()
        }
    }

    #[test]
    fn expressions_are_read_as_meant() {
        check("avg(cholesterol)", Function::Average, &["cholesterol"]);
        check(" sum ( HDL cholesterol ) ", Function::Sum, &["HDL cholesterol"]);
        check("count(*)", Function::Count, &[]);
        check("count(ssn)", Function::Count, &["ssn"]);
        check("min(patient.age)", Function::Minimum, &["patient", "age"]);
        check(r#"max("a.b".c)"#, Function::Maximum, &["a.b", "c"]);
        check(r#"max("say \"hi\"")"#, Function::Maximum, &["say \"hi\""]);
        check("quantile(Hgb, 0.95)", Function::Quantile(0.95), &["Hgb"]);
        check("avg(größe)", Function::Average, &["größe"]);
    }

    #[test]
    fn expressions_are_shown_as_they_are_written() {
        for text in ["avg(cholesterol)", "count(*)", "quantile(a.b, 0.5)", r#"sum("a,b")"#, r#"sum("")"#] {
            assert_eq!(text.parse::<Expression>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_wrong_with_an_expression_is_named() {
        let check = |text: &str, message: &str| {
            assert_eq!(text.parse::<Expression>().unwrap_err().to_string(), format!("`{text}`: {message}"));
        };
        let functions = "functions are count, sum, avg, min, max, quantile";
        let like = "write it like `avg(cholesterol)`";
        let share = "give a share from 0 to 1, as in `quantile(cholesterol, 0.95)`";
        let name = "name the field, as in `avg(cholesterol)`; quote a name with special characters: `avg(\"a.b\")`";
        check("", &format!("no function at column 1; {like}"));
        check("avrg(x)", &format!("unknown function `avrg` at column 1; did you mean `avg`? {functions}"));
        check("AVG(x)", &format!("unknown function `AVG` at column 1; did you mean `avg`? {functions}"));
        check(" mean(x)", &format!("unknown function `mean` at column 2; did you mean `avg`? {functions}"));
        check("stddev(x)", &format!("unknown function `stddev` at column 1; {functions}"));
        check("avg cholesterol", &format!("no `(` at column 5; {like}"));
        check("avg(cholesterol", &format!("no `)` at column 16; {like}"));
        check("avg(a, b)", &format!("no `)` at column 6; {like}"));
        check("avg()", &format!("no field at column 5; {name}"));
        check("avg(a.)", &format!("no field at column 7; {name}"));
        check(
            "avg(*)",
            "`*` where a field belongs at column 5; only `count(*)` takes all records; name a field, as in `avg(cholesterol)`",
        );
        check("avg(\"a)", "a quoted name that does not end at column 5; close it with `\"`; escapes are JSON's");
        check("avg(ä) b", "unexpected text at column 8; an expression ends with `)`");
        check("quantile(x)", &format!("no share at column 11; {share}"));
        check("quantile(x, 95)", &format!("`95` is not a share at column 13; {share}"));
        check("quantile(x, NaN)", &format!("`NaN` is not a share at column 13; {share}"));
    }
}
