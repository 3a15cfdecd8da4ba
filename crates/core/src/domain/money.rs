//! Money, and what it is stated for: `0.09 EUR/GB`, `0.021 EUR/GB/month`, `5 EUR/day`.
//!
//! Whole numbers of a billionth of the currency's unit: sums are exact. A GB is 1e9 bytes; a week is 7 days and begins on Monday, a
//! month is 30 days and begins wherever 30 days after the epoch's do: the scenario's time knows no calendar.

use super::time::Timestamp;
use serde::{Serialize, Serializer};
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::Duration;

/// Parts of a unit that are counted.
const PARTS: i64 = 1_000_000_000;
const DECIMALS: usize = 9;
const GB: u128 = 1_000_000_000;
/// More than this for anything is a slip of the pen.
const MOST_UNITS: i64 = 100_000;
/// A budget may be larger.
const MOST_BUDGET_UNITS: i64 = 1_000_000_000;

/// A sum of money in the network's currency, in billionths of its unit. Sums stop at what can be counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Amount(pub i64);

impl Amount {
    pub const NOTHING: Amount = Amount(0);

    fn of(parts: u128) -> Self {
        Self(i64::try_from(parts).unwrap_or(i64::MAX))
    }

    /// Of whole units and parts.
    pub fn sum_of(units: i64, parts: i64) -> Self {
        Self(units.saturating_mul(PARTS).saturating_add(parts))
    }

    /// Not below nothing.
    #[must_use]
    pub fn or_nothing(self) -> Self {
        self.max(Self::NOTHING)
    }
}

impl Add for Amount {
    type Output = Amount;
    fn add(self, other: Amount) -> Amount {
        Amount(self.0.saturating_add(other.0))
    }
}

impl Sub for Amount {
    type Output = Amount;
    fn sub(self, other: Amount) -> Amount {
        Amount(self.0.saturating_sub(other.0))
    }
}

impl Sum for Amount {
    fn sum<I: Iterator<Item = Amount>>(amounts: I) -> Amount {
        amounts.fold(Amount::NOTHING, Amount::add)
    }
}

impl fmt::Display for Amount {
    /// Exact: at least two decimals, and as many as there are, unless fewer are asked for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (units, parts) =
            (self.0.unsigned_abs() / PARTS.unsigned_abs(), self.0.unsigned_abs() % PARTS.unsigned_abs());
        let decimals = format!("{parts:09}");
        let kept = decimals.trim_end_matches('0').len().max(2);
        write!(f, "{sign}{units}.{}", &decimals[..kept])
    }
}

/// As a text, for a number in JSON would be a float to many.
impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Three capital letters: `EUR`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Currency([u8; 3]);

impl Currency {
    /// ISO 4217's code for none: of what nobody can read.
    pub const NONE: Currency = Currency(*b"XXX");
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|letter| fmt::Write::write_char(f, char::from(*letter)))
    }
}

impl FromStr for Currency {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let letters: Option<[u8; 3]> = text.as_bytes().try_into().ok();
        let letters = letters.filter(|letters| letters.iter().all(u8::is_ascii_uppercase));
        letters.map(Self).ok_or_else(|| MoneyError::NoCurrency(shown(text)))
    }
}

/// What something is stated for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Period {
    Hour,
    Day,
    Week,
    Month,
}

impl Period {
    pub const ALL: [Period; 4] = [Period::Hour, Period::Day, Period::Week, Period::Month];

    pub fn name(self) -> &'static str {
        match self {
            Period::Hour => "hour",
            Period::Day => "day",
            Period::Week => "week",
            Period::Month => "month",
        }
    }

    fn ms(self) -> i64 {
        const HOUR_MS: i64 = 3_600_000;
        match self {
            Period::Hour => HOUR_MS,
            Period::Day => 24 * HOUR_MS,
            Period::Week => 7 * 24 * HOUR_MS,
            Period::Month => 30 * 24 * HOUR_MS,
        }
    }

    /// When the one began that runs at this moment.
    pub fn begin(self, at: Timestamp) -> Timestamp {
        // The epoch was a Thursday.
        const MONDAY_MS: i64 = 4 * 24 * 3_600_000;
        let shift = if self == Period::Week { MONDAY_MS } else { 0 };
        Timestamp(at.0.saturating_sub((at.0.saturating_sub(shift)).rem_euclid(self.ms())))
    }

    /// When the next one begins.
    pub fn end(self, at: Timestamp) -> Timestamp {
        self.begin(at) + Duration::from_millis(self.ms().unsigned_abs())
    }
}

/// Why a text is no price or budget.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MoneyError {
    #[error("`{0}` has no number in front")]
    NoNumber(String),
    #[error("`{0}` has more than 9 decimals")]
    TooFine(String),
    #[error("`{0}` is no currency: three capital letters")]
    NoCurrency(String),
    #[error("`{0}` does not say for what: {1}")]
    NoUnit(String, &'static str),
    #[error("`{0}` is more than {1}")]
    TooMuch(String, i64),
    #[error("`{0}` is negative")]
    Negative(String),
}

fn shown(text: &str) -> String {
    text.trim().chars().take(40).collect::<String>().escape_debug().to_string()
}

/// `0.09 EUR/GB` as its amount, currency, and `GB`.
fn split<'a>(text: &'a str, units: &'static str, most: i64) -> Result<(Amount, Currency, &'a str), MoneyError> {
    let text = text.trim();
    if text.starts_with('-') {
        return Err(MoneyError::Negative(shown(text)));
    }
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    let amount = amount(number, text, most)?;
    let (currency, unit) = rest.split_once('/').unwrap_or((rest, ""));
    let currency = currency.trim();
    if currency.is_empty() {
        return Err(MoneyError::NoCurrency(shown(text)));
    }
    let currency = currency.parse()?;
    match unit.trim() {
        "" => Err(MoneyError::NoUnit(shown(text), units)),
        unit => Ok((amount, currency, unit)),
    }
}

fn amount(number: &str, text: &str, most: i64) -> Result<Amount, MoneyError> {
    let (units, decimals) = number.split_once('.').unwrap_or((number, ""));
    let is_number =
        !units.is_empty() && !decimals.contains('.') && number.split_once('.').is_none_or(|(_, d)| !d.is_empty());
    if !is_number {
        return Err(MoneyError::NoNumber(shown(text)));
    }
    if decimals.len() > DECIMALS {
        return Err(MoneyError::TooFine(shown(text)));
    }
    let units = units.parse::<i64>().ok().filter(|units| *units < most || (*units == most && decimals.is_empty()));
    let units = units.ok_or_else(|| MoneyError::TooMuch(shown(text), most))?;
    // At most nine digits.
    let parts: i64 = format!("{decimals:0<9}").parse().map_err(|_| MoneyError::NoNumber(shown(text)))?;
    Ok(Amount(units * PARTS + parts))
}

fn period(unit: &str) -> Option<Period> {
    Period::ALL.into_iter().find(|period| period.name() == unit.trim())
}

macro_rules! written {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

/// Of bytes that leave a node: `0.09 EUR/GB`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TransferPrice {
    pub per_gb: Amount,
    pub currency: Currency,
}

impl TransferPrice {
    pub const EXAMPLE: &str = "0.09 EUR/GB";
    const UNITS: &str = "`/GB`";

    /// Rounded to the nearest part.
    pub fn of(self, bytes: u64) -> Amount {
        let parts = u128::from(self.per_gb.0.unsigned_abs()) * u128::from(bytes);
        Amount::of((parts + GB / 2) / GB)
    }
}

impl fmt::Display for TransferPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/GB", self.per_gb, self.currency)
    }
}
written!(TransferPrice);

impl FromStr for TransferPrice {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        match split(text, Self::UNITS, MOST_UNITS)? {
            (per_gb, currency, "GB") => Ok(Self { per_gb, currency }),
            _ => Err(MoneyError::NoUnit(shown(text), Self::UNITS)),
        }
    }
}

/// Of bytes that lie on a node for a time: `0.021 EUR/GB/month`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StoragePrice {
    pub per_gb: Amount,
    pub currency: Currency,
    pub period: Period,
}

impl StoragePrice {
    pub const EXAMPLE: &str = "0.021 EUR/GB/month";
    const UNITS: &str = "`/GB/month`, `/GB/week`, `/GB/day` or `/GB/hour`";

    /// What so many bytes cost from one moment to another. However a time is cut in pieces, they cost as much together as the
    /// whole, to the last part: each piece is the difference of what the time up to its ends costs from `base`, which lies before.
    pub fn of(self, bytes: u64, base: Timestamp, (from, until): (Timestamp, Timestamp)) -> Amount {
        let since_base = |at: Timestamp| {
            let ms = u128::try_from(at.0.saturating_sub(base.0)).unwrap_or(0);
            let parts = u128::from(self.per_gb.0.unsigned_abs()) * u128::from(bytes);
            Amount::of(parts.saturating_mul(ms) / (GB * u128::from(self.period.ms().unsigned_abs())))
        };
        (since_base(until) - since_base(from)).or_nothing()
    }
}

impl fmt::Display for StoragePrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/GB/{}", self.per_gb, self.currency, self.period.name())
    }
}
written!(StoragePrice);

impl FromStr for StoragePrice {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let (per_gb, currency, unit) = split(text, Self::UNITS, MOST_UNITS)?;
        let period = unit.split_once('/').filter(|(size, _)| size.trim() == "GB").and_then(|(_, unit)| period(unit));
        let period = period.ok_or_else(|| MoneyError::NoUnit(shown(text), Self::UNITS))?;
        Ok(Self { per_gb, currency, period })
    }
}

/// What may be spent in each period: `5 EUR/day`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    pub amount: Amount,
    pub currency: Currency,
    pub period: Period,
}

impl Budget {
    pub const EXAMPLE: &str = "5 EUR/day";
    const UNITS: &str = "`/hour`, `/day`, `/week` or `/month`";
    /// Of one that nobody can read: nothing may be spent.
    pub const UNREADABLE: Budget = Budget { amount: Amount::NOTHING, currency: Currency::NONE, period: Period::Day };
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.amount, self.currency, self.period.name())
    }
}
written!(Budget);

impl FromStr for Budget {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let (amount, currency, unit) = split(text, Self::UNITS, MOST_BUDGET_UNITS)?;
        let period = period(unit).ok_or_else(|| MoneyError::NoUnit(shown(text), Self::UNITS))?;
        Ok(Self { amount, currency, period })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1_000_000;

    fn refused<T: FromStr<Err = MoneyError> + fmt::Debug>(text: &str, expected: &str) {
        assert_eq!(text.parse::<T>().unwrap_err().to_string(), expected);
    }

    #[test]
    fn prices_and_budgets_are_read_as_they_are_written() {
        let price: TransferPrice = "0.09 EUR/GB".parse().unwrap();
        assert_eq!((price.per_gb, price.to_string()), (Amount(90_000_000), "0.09 EUR/GB".to_owned()));
        assert_eq!("0.021 EUR / GB / month".parse::<StoragePrice>().unwrap().to_string(), "0.021 EUR/GB/month");
        assert_eq!("5EUR/day".parse::<Budget>().unwrap().to_string(), "5.00 EUR/day");
        assert_eq!("0.000000001 USD/week".parse::<Budget>().unwrap().amount, Amount(1));
        assert_eq!("1000000000 JPY/month".parse::<Budget>().unwrap().amount, Amount(1_000_000_000 * PARTS));
    }

    #[test]
    fn what_is_none_is_told_as_such() {
        refused::<TransferPrice>("0.09/GB", "`0.09/GB` is no currency: three capital letters");
        refused::<TransferPrice>("0.09 eur/GB", "`eur` is no currency: three capital letters");
        refused::<TransferPrice>("0.09 EUR", "`0.09 EUR` does not say for what: `/GB`");
        refused::<TransferPrice>("0.09 EUR/GB/month", "`0.09 EUR/GB/month` does not say for what: `/GB`");
        refused::<TransferPrice>("-1 EUR/GB", "`-1 EUR/GB` is negative");
        refused::<TransferPrice>("1e3 EUR/GB", "`e3 EUR` is no currency: three capital letters");
        refused::<TransferPrice>("EUR/GB", "`EUR/GB` has no number in front");
        refused::<TransferPrice>("1. EUR/GB", "`1. EUR/GB` has no number in front");
        refused::<TransferPrice>("1.2.3 EUR/GB", "`1.2.3 EUR/GB` has no number in front");
        refused::<TransferPrice>("100000.1 EUR/GB", "`100000.1 EUR/GB` is more than 100000");
        refused::<TransferPrice>("99999999999999999999 EUR/GB", "`99999999999999999999 EUR/GB` is more than 100000");
        refused::<TransferPrice>("0.0000000001 EUR/GB", "`0.0000000001 EUR/GB` has more than 9 decimals");
        let units = "`/GB/month`, `/GB/week`, `/GB/day` or `/GB/hour`";
        refused::<StoragePrice>("1 EUR/GB", &format!("`1 EUR/GB` does not say for what: {units}"));
        refused::<Budget>("5 EUR/year", "`5 EUR/year` does not say for what: `/hour`, `/day`, `/week` or `/month`");
    }

    #[test]
    fn amounts_are_shown_to_the_last_part() {
        let shown = |parts| Amount(parts).to_string();
        assert_eq!([0, 5 * PARTS, 1, -1_250_000_000].map(shown), ["0.00", "5.00", "0.000000001", "-1.25"]);
    }

    #[test]
    fn bytes_that_travel_cost_what_is_stated_for_each_gb() {
        let price: TransferPrice = "0.09 EUR/GB".parse().unwrap();
        assert_eq!(price.of(1_000 * MB), Amount(90_000_000));
        assert_eq!(price.of(250 * MB), Amount(22_500_000));
        assert_eq!((price.of(6), price.of(5)), (Amount(1), Amount(0)));
        assert_eq!(price.of(u64::MAX).0, 1_660_206_966_633_859_645);
    }

    #[test]
    fn a_time_costs_as_much_in_pieces_as_at_once() {
        let price: StoragePrice = "0.021 EUR/GB/month".parse().unwrap();
        let (base, end) = (Timestamp(86_400_000), Timestamp(2 * 86_400_000));
        let whole = price.of(1_234_567, base, (base, end));
        // Far less than a part for each second.
        assert_eq!(whole, Amount(864));
        let cuts: Vec<i64> = (base.0..=end.0).step_by(9_973).chain([end.0]).collect();
        let pieces = cuts.windows(2).map(|cut| price.of(1_234_567, base, (Timestamp(cut[0]), Timestamp(cut[1]))));
        assert_eq!(pieces.sum::<Amount>(), whole);
        let month = (Timestamp(0), Timestamp(30 * 86_400_000));
        assert_eq!(price.of(1_000 * MB, Timestamp(0), month), price.per_gb);
        assert_eq!(price.of(u64::MAX, base, (end, base)), Amount::NOTHING);
    }

    #[test]
    fn periods_begin_where_the_scenarios_time_does() {
        const DAY_MS: i64 = 86_400_000;
        let begin = |period: Period, at| period.begin(Timestamp(at)).0;
        assert_eq!(begin(Period::Hour, 3_600_001), 3_600_000);
        assert_eq!(begin(Period::Day, DAY_MS - 1), 0);
        assert_eq!(begin(Period::Month, 31 * DAY_MS), 30 * DAY_MS);
        // 1970-01-05 was a Monday.
        assert_eq!((begin(Period::Week, 4 * DAY_MS), begin(Period::Week, 4 * DAY_MS - 1)), (4 * DAY_MS, -3 * DAY_MS));
        assert_eq!(Period::Day.end(Timestamp(5)), Timestamp(DAY_MS));
    }
}
