//! Records that the members of one process have in common.

use crate::record::Signed;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Records whose last holder is gone are looked for when there are this many.
const SWEEP_AT: usize = 1 << 16;

/// One copy of each record for all members of a process, by its bytes. Whether it is genuine is then found out once;
/// nothing is believed that was not verified.
#[derive(Default, Debug)]
pub struct SharedRecords {
    known: Mutex<BTreeMap<Box<[u8]>, Weak<Signed>>>,
}

impl SharedRecords {
    /// The copy that others hold, if they do.
    pub(crate) fn shared(&self, record: Arc<Signed>) -> Arc<Signed> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // Two records with one signature are not both genuine: the signature alone finds it, all bytes are compared.
        let signature = &record.wire()[..crate::identity::SIGNATURE_BYTES];
        if let Some(other) = known.get(signature).and_then(Weak::upgrade).filter(|other| **other == *record) {
            return other;
        }
        if known.len() >= SWEEP_AT {
            known.retain(|_, record| record.strong_count() > 0);
        }
        if known.len() < SWEEP_AT {
            known.insert(signature.into(), Arc::downgrade(&record));
        }
        record
    }
}
