//! How small ordered maps and sets are filled.

/// Collects into an ordered map or set entry by entry.
pub trait Fill: Iterator + Sized {
    /// Like `collect`, without a sort: `collect` sorts the entries first, and each sort adds 4 kB to the program. It is worth that
    /// for large collections only.
    fn fill<C: Default + Extend<Self::Item>>(self) -> C {
        let mut filled = C::default();
        filled.extend(self);
        filled
    }
}

impl<I: Iterator> Fill for I {}
