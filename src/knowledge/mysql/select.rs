//! Questions that are answered in one statement: the rows of several tables as one list, each with its table's name, and with
//! the server's time. One statement sees one state of the database, and costs one way there and back.

use agent_core::domain::time::Timestamp;
use agent_core::knowledge::quarantine::{Cell, Cells, Field, Fields, Quarantine, ROWS_MAX, Table};
use mysql_async::{Row, Value};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What is asked of one table. A column may be an expression, `EXPRESSION as NAME`; a name means the same type everywhere.
pub(super) struct Part {
    /// By which its rows are told from those of other parts.
    pub name: &'static str,
    pub table: Table,
    pub columns: &'static [&'static str],
    pub from: &'static str,
}

/// Microseconds since the Unix epoch, whatever the time zone of the session or the server.
const CLOCK: Part = Part {
    name: "clock",
    table: Table { name: "clock", key: &[] },
    columns: &["timestampdiff(microsecond, '1970-01-01 00:00:00', utc_timestamp(6)) as clock_us"],
    from: "",
};

/// The parts of one question, in order.
pub(super) struct Question {
    parts: Vec<(&'static Part, String)>,
    values: Vec<Value>,
}

impl Question {
    pub(super) fn new() -> Self {
        Self { parts: vec![(&CLOCK, String::new())], values: Vec::new() }
    }

    /// Rows for which a condition holds; `rest` is what follows the table's name in a `select`.
    pub(super) fn and<const N: usize>(self, part: &'static Part, rest: &str, values: [Value; N]) -> Self {
        self.and_each(part, rest, values)
    }

    pub(super) fn and_each(mut self, part: &'static Part, rest: &str, values: impl IntoIterator<Item = Value>) -> Self {
        self.parts.push((part, rest.to_owned()));
        self.values.extend(values);
        self
    }

    /// A `union all` whose columns are those of all parts; null where a part has none of that name.
    pub(super) fn into_sql(self) -> (String, Vec<Value>) {
        let mut names: Vec<&str> = Vec::new();
        for column in self.parts.iter().flat_map(|(part, _)| part.columns) {
            if !names.contains(&name(column)) {
                names.push(name(column));
            }
        }
        let select = |(part, rest): &(&Part, String)| {
            let own = |wanted: &&str| part.columns.iter().find(|column| name(column) == *wanted).copied();
            let columns = names.iter().map(|wanted| own(wanted).map_or(format!("null as {wanted}"), str::to_owned));
            let columns: Vec<String> = std::iter::once(format!("'{}' as part", part.name)).chain(columns).collect();
            // One more than is read, so that it is noticed.
            let limit = if rest.contains(" limit ") { String::new() } else { format!(" limit {}", ROWS_MAX + 1) };
            // In brackets, so that each may have an order and a limit of its own.
            format!("(select {} {} {rest}{limit})", columns.join(", "), part.from)
        };
        (self.parts.iter().map(select).collect::<Vec<_>>().join(" union all "), self.values)
    }
}

/// What a column is called in the answer.
fn name(column: &str) -> &str {
    column.rsplit_once(" as ").map_or(column, |(_, name)| name)
}

/// The answer to a question.
pub(super) struct Answer {
    /// By the server's clock, when the statement began.
    pub now: Timestamp,
    rows: BTreeMap<String, Vec<Row>>,
    columns: BTreeMap<String, usize>,
    quarantine: Arc<Mutex<Quarantine>>,
}

impl Answer {
    pub(super) fn new(
        rows: Vec<Row>,
        quarantine: Arc<Mutex<Quarantine>>,
        time: impl FnOnce(Duration) -> Timestamp,
    ) -> Self {
        let first = rows.first().map(|row| row.columns_ref()).unwrap_or_default();
        let columns = first.iter().enumerate().map(|(at, column)| (column.name_str().into_owned(), at)).collect();
        let mut answer = Self { now: Timestamp(0), rows: BTreeMap::new(), columns, quarantine };
        for row in rows {
            let part = row.get::<String, _>(0).unwrap_or_default();
            answer.rows.entry(part).or_default().push(row);
        }
        let clock = answer.numbers(&CLOCK, "clock_us").next().and_then(|us| u64::try_from(us).ok());
        answer.now = time(Duration::from_micros(clock.unwrap_or_default()));
        answer
    }

    /// The rows of a part that make sense.
    pub(super) fn read<T>(&self, part: &'static Part, mut read: impl FnMut(&mut Fields<'_>) -> Field<T>) -> Vec<T> {
        let mut quarantine = self.quarantine.lock().unwrap_or_else(PoisonError::into_inner);
        quarantine.at(self.now);
        let rows = self.raw(part);
        if rows.len() > ROWS_MAX {
            quarantine.too_many(part.table);
        }
        let kept = rows.iter().take(ROWS_MAX);
        kept.filter_map(|row| quarantine.read(part.table, &self.cells(row), &mut read)).collect()
    }

    /// Whole numbers as they stand in a column, whatever else their rows say.
    pub(super) fn numbers(&self, part: &'static Part, column: &str) -> impl Iterator<Item = i64> {
        self.raw(part).iter().filter_map(move |row| match self.cells(row).cell(column) {
            Ok(Cell::Integer(value)) => Some(value),
            _ => None,
        })
    }

    fn raw(&self, part: &'static Part) -> &[Row] {
        self.rows.get(part.name).map(Vec::as_slice).unwrap_or_default()
    }

    fn cells<'a>(&'a self, row: &'a Row) -> MysqlRow<'a> {
        MysqlRow { row, columns: &self.columns }
    }
}

struct MysqlRow<'a> {
    row: &'a Row,
    columns: &'a BTreeMap<String, usize>,
}

impl Cells for MysqlRow<'_> {
    fn cell(&self, column: &str) -> Result<Cell<'_>, String> {
        let value = self.columns.get(column).and_then(|at| self.row.as_ref(*at));
        value.map(cell).ok_or_else(|| format!("there is no column `{column}`"))
    }
}

fn cell(value: &Value) -> Cell<'_> {
    match value {
        Value::NULL => Cell::Null,
        Value::Bytes(bytes) => Cell::Text(bytes),
        Value::Int(value) => Cell::Integer(*value),
        Value::UInt(value) => i64::try_from(*value).map_or(Cell::Other("a number above all others"), Cell::Integer),
        Value::Float(value) => Cell::Real(f64::from(*value)),
        Value::Double(value) => Cell::Real(*value),
        Value::Date(..) | Value::Time(..) => Cell::Other("a date or time"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: Table = Table { name: "any", key: &[] };
    const ONES: Part = Part { name: "ones", table: ANY, columns: &["id", "name"], from: "from ones" };
    const OTHERS: Part =
        Part { name: "others", table: ANY, columns: &["name", "count(*) as amount"], from: "from others" };

    #[test]
    fn columns_of_one_name_stand_below_each_other() {
        let question = Question { parts: Vec::new(), values: Vec::new() };
        let question = question.and(&ONES, "where id = ? limit 5", [7.into()]).and(&OTHERS, "group by name", []);
        let (sql, values) = question.into_sql();
        assert_eq!(
            sql,
            "(select 'ones' as part, id, name, null as amount from ones where id = ? limit 5) union all \
             (select 'others' as part, null as id, name, count(*) as amount from others group by name limit 100001)"
        );
        assert_eq!(values, [Value::Int(7)]);
    }
}
