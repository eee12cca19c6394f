//! Closed lists of words: an enum whose values are written as plain words in the configuration, on the socket, in files or in
//! metrics.

/// Declares an enum with its list, its text and its parser, so that the three cannot disagree.
#[macro_export]
macro_rules! words {
    ($(#[$doc:meta])* $vis:vis enum $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// All values, in the order in which they are declared.
            $vis const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word for it.
            $vis const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = ();

            /// Accepts exactly the word. The caller knows how to explain what was wrong.
            fn from_str(word: &str) -> Result<Self, ()> {
                Self::ALL.iter().copied().find(|value| value.as_str() == word).ok_or(())
            }
        }
    };
}

#[cfg(test)]
mod tests {
    words! {
        /// Two words.
        enum Side {
            Left = "left",
            Right = "right",
        }
    }

    #[test]
    fn each_value_is_in_the_list_and_is_parsed_from_its_word() {
        assert_eq!(Side::ALL, [Side::Left, Side::Right]);
        for side in Side::ALL {
            assert_eq!(side.as_str().parse(), Ok(*side));
        }
        assert_eq!("Left".parse::<Side>(), Err(()), "only the exact word counts");
        assert_eq!(format!("{:>6}", Side::Left), "  left");
    }
}
