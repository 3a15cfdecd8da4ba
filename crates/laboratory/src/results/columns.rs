//! How a struct is a row: its fields are the columns, its types theirs.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Result, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;

/// A table's column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
    /// May hold nothing.
    pub optional: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Integer,
    Real,
    Text,
}

impl Column {
    pub const fn of<T: Value>(name: &'static str) -> Self {
        Self { name, kind: T::KIND, optional: T::OPTIONAL }
    }

    /// As a table is made with it.
    pub fn declaration(&self) -> String {
        let kind = match self.kind {
            Kind::Integer => "integer",
            Kind::Real => "real",
            Kind::Text => "text",
        };
        format!("{} {kind}{}", self.name, if self.optional { "" } else { " not null" })
    }
}

/// What a column can hold.
pub trait Value: ToSql + FromSql {
    const KIND: Kind;
    const OPTIONAL: bool = false;
}

macro_rules! values {
    ($kind:ident: $($type:ty),+) => {
        $(impl Value for $type { const KIND: Kind = Kind::$kind; })+
    };
}

values!(Integer: i64, u32, u64, bool);
values!(Real: f64);
values!(Text: String);

impl<T: Value> Value for Option<T> {
    const KIND: Kind = T::KIND;
    const OPTIONAL: bool = true;
}

/// A column that holds JSON.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Json<T>(pub T);

impl<T: Serialize> fmt::Display for Json<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(&self.0).map_err(|_| fmt::Error)?)
    }
}

impl<T: Serialize> ToSql for Json<T> {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        let text = serde_json::to_string(&self.0);
        text.map(ToSqlOutput::from).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
    }
}

impl<T: DeserializeOwned> FromSql for Json<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let read = serde_json::from_str(value.as_str()?);
        read.map(Self).map_err(|error| FromSqlError::Other(error.into()))
    }
}

impl<T: Serialize + DeserializeOwned> Value for Json<T> {
    const KIND: Kind = Kind::Text;
}

/// A struct with a column for each field.
pub trait Columns: Sized {
    const COLUMNS: &'static [Column];
    /// In the order of the columns.
    fn values(&self) -> Vec<&dyn ToSql>;
    /// By the columns' names.
    fn read(row: &Row) -> Result<Self>;
}

/// Declares a struct that is [`Columns`].
macro_rules! columns {
    ($(#[$about:meta])* pub struct $name:ident { $($(#[$doc:meta])* pub $field:ident: $kind:ty,)* }) => {
        $(#[$about])*
        #[derive(Clone, PartialEq, Default, Debug)]
        pub struct $name {
            $($(#[$doc])* pub $field: $kind,)*
        }

        impl $crate::results::columns::Columns for $name {
            const COLUMNS: &'static [$crate::results::columns::Column] =
                &[$($crate::results::columns::Column::of::<$kind>(stringify!($field))),*];

            fn values(&self) -> Vec<&dyn rusqlite::ToSql> {
                vec![$(&self.$field),*]
            }

            fn read(row: &rusqlite::Row) -> rusqlite::Result<Self> {
                Ok(Self { $($field: row.get(stringify!($field))?),* })
            }
        }
    };
}
pub(super) use columns;
