//! Questions that are answered in one statement: the rows of several tables as one list, each with its table's name, and with
//! the server's time. One statement sees one state of the database, and costs one way there and back.

use super::failure::Failure;
use crate::domain::time::Timestamp;
use crate::knowledge::rows::{Cell, Cells, Field, Fields, Keyed, Warned, read_row};
use mysql_async::{Row, Value};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What is asked of one table. A column may be an expression, `EXPRESSION as NAME`; a name means the same type everywhere.
pub(super) struct Part {
    pub table: Keyed,
    pub columns: &'static [&'static str],
    pub from: &'static str,
}

/// Microseconds since the Unix epoch, whatever the time zone of the session or the server.
const CLOCK: Part = Part {
    table: Keyed("clock", 0),
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
            let Keyed(table, _) = part.table;
            let columns: Vec<String> = std::iter::once(format!("'{table}' as part")).chain(columns).collect();
            // In brackets, so that each may have an order and a limit of its own.
            format!("(select {} {} {rest})", columns.join(", "), part.from)
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
    warned: Arc<Mutex<Warned>>,
}

impl Answer {
    pub(super) fn new(
        rows: Vec<Row>,
        warned: Arc<Mutex<Warned>>,
        time: impl FnOnce(Duration) -> Timestamp,
    ) -> Result<Self, Failure> {
        let first = rows.first().map(|row| row.columns_ref()).unwrap_or_default();
        let columns = first.iter().enumerate().map(|(at, column)| (column.name_str().into_owned(), at)).collect();
        let mut answer = Self { now: Timestamp(0), rows: BTreeMap::new(), columns, warned };
        for row in rows {
            let part = row.get::<String, _>(0).unwrap_or_default();
            answer.rows.entry(part).or_default().push(row);
        }
        let clock = answer.read(&CLOCK, |row| row.amount("clock_us"));
        answer.now = time(Duration::from_micros(clock.first().copied().unwrap_or_default()));
        Ok(answer)
    }

    /// The rows of a part that make sense.
    pub(super) fn read<T>(&self, part: &'static Part, mut read: impl FnMut(&mut Fields<'_>) -> Field<T>) -> Vec<T> {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        let Keyed(table, _) = part.table;
        let rows = self.rows.get(table).map(Vec::as_slice).unwrap_or_default();
        let columns = &self.columns;
        rows.iter()
            .filter_map(|row| read_row(&PartRow { row, part, columns }, part.table, &mut warned, &mut read))
            .collect()
    }

    /// Whether there is any row of a part.
    pub(super) fn has(&self, part: &'static Part) -> bool {
        self.rows.contains_key(part.table.0)
    }
}

struct PartRow<'a> {
    row: &'a Row,
    part: &'static Part,
    columns: &'a BTreeMap<String, usize>,
}

impl Cells for PartRow<'_> {
    fn cell(&self, column: &str) -> Result<Cell<'_>, String> {
        let value = self.columns.get(column).and_then(|at| self.row.as_ref(*at));
        value.map(cell).ok_or_else(|| format!("there is no column `{column}`"))
    }

    fn key(&self, index: usize) -> Cell<'_> {
        self.part.columns.get(index).and_then(|column| self.cell(name(column)).ok()).unwrap_or(Cell::Null)
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

    const ONES: Part = Part { table: Keyed("ones", 1), columns: &["id", "name"], from: "from ones" };
    const OTHERS: Part =
        Part { table: Keyed("others", 1), columns: &["name", "count(*) as amount"], from: "from others" };

    #[test]
    fn columns_of_one_name_stand_below_each_other() {
        let question = Question { parts: Vec::new(), values: Vec::new() };
        let question = question.and(&ONES, "where id = ?", [7.into()]).and(&OTHERS, "group by name", []);
        let (sql, values) = question.into_sql();
        assert_eq!(
            sql,
            "(select 'ones' as part, id, name, null as amount from ones where id = ?) union all \
             (select 'others' as part, null as id, name, count(*) as amount from others group by name)"
        );
        assert_eq!(values, [Value::Int(7)]);
    }
}
