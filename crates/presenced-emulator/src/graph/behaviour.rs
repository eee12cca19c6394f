//! What each answer of Graph rests on, in one table: the header `x-presenced-basis` and the documents quote it.

use std::fmt;

/// What a behaviour of the emulator rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Basis {
    /// Microsoft's documentation or schema says so.
    Documented,
    /// People who use the service say so.
    Reported,
    /// Neither says so. Do not depend on it.
    Inferred,
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Documented => "documented",
            Self::Reported => "reported",
            Self::Inferred => "inferred",
        })
    }
}

/// One behaviour of the emulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// What it rests on.
    pub basis: Basis,
    /// The request or its fault.
    pub case: &'static str,
    /// The answer.
    pub answer: &'static str,
}

macro_rules! behaviours {
    ($($name:ident $basis:ident $case:literal => $answer:literal)*) => {
        $(pub(super) const $name: Behaviour = Behaviour { basis: Basis::$basis, case: $case, answer: $answer };)*

        /// Every behaviour of Graph that the header `x-presenced-basis` tells about.
        pub const BEHAVIOURS: &[Behaviour] = &[$($name),*];
    };
}

behaviours! {
    SET Documented "setPresence, clearPresence" => "200, empty"
    PREFER Documented "setUserPreferredPresence, clearUserPreferredPresence" => "200, empty; 204 is reported"
    STATUS_MESSAGE Documented "setStatusMessage" => "200, empty"
    LOCATION Documented "setManualLocation, setAutomaticLocation, clearLocation, clearAutomaticLocation"
        => "200, empty; the examples show 204"
    READ Documented "GET …/presence, with $select" => "200, a presence"
    READ_MANY Documented "getPresencesByUserId" => "200, a list of presences"
    UNKNOWN_ID Inferred "getPresencesByUserId with an unknown id" => "200, PresenceUnknown for that id"
    LIST Inferred "GET /communications/presences" => "200, the presences of all users that the token may read, in pages of 650"
    USER Documented "GET /me, GET /users/{id}, with $select" => "200, a user"
    BATCH Documented "$batch" => "200, with the answer to each part"
    FAILED_DEPENDENCY Documented "a part of a batch whose dependency failed" => "424"
    TOO_MANY_PARTS Documented "more than 20 parts in a batch" => "400 BadRequest"
    BAD_DEPENDENCY Inferred "a dependency that is not in the batch, or a cycle of them" => "400 BadRequest"
    TOKEN Reported "no token, or one that is malformed, unknown or expired" => "401 InvalidAuthenticationToken"
    CLAIMS Documented "a token that Continuous Access Evaluation refuses" => "401 InvalidAuthenticationToken, with claims"
    THROTTLED Documented "more than 1,500 requests in 30 seconds" => "429 TooManyRequests, with Retry-After"
    UNKNOWN_SEGMENT Reported "a path that Graph does not have" => "400 BadRequest"
    NOT_HERE Inferred "a path that the emulator does not have" => "404 NotFound"
    METHOD Inferred "a method that is not allowed" => "405 Request_BadRequest"
    TOO_LARGE Inferred "a body of more than 256 KiB" => "413 RequestEntityTooLarge"
    NOT_JSON Reported "a body that is not a JSON object" => "400 BadRequest"
    UNKNOWN_PARAMETER Inferred "a parameter or a property that does not exist, or of another type" => "400 BadRequest"
    NO_SESSION_ID Reported "no sessionId; checked before the permission" => "400 InvalidArgument"
    OTHER_SESSION_ID Inferred "a sessionId that is not the application's, unless --any-session is given"
        => "400 InvalidArgument"
    OUT_OF_RANGE Reported "an expirationDuration out of range" => "400 InvalidArgument"
    INVALID_VALUE Inferred "a value that is missing, malformed or not supported" => "400 InvalidArgument"
    NOT_TEXT Documented "a status message whose contentType is not text" => "refused; the 400 InvalidArgument is inferred"
    TOO_MANY_IDS Documented "more than 650 ids" => "refused; the 400 InvalidArgument is inferred"
    FORBIDDEN Reported "a permission that is missing" => "403 Forbidden, with an empty message"
    ANOTHER_USER Reported "a delegated token that sets another user's presence" => "401 Unauthorized"
    ME_OF_APPLICATION Reported "/me with an application's token" => "400 BadRequest"
    UNKNOWN_USER Inferred "a user who does not exist" => "404 NotFound"
    NO_SESSION Documented "clearPresence without a session" => "404; the code NotFound is inferred"
    PASSING_FAULT Reported "a passing fault of the service" => "401 ServiceError"
    VAGUE Reported "a cloud without presence, a personal account, or a refusal without a reason" => "404, 400 or 401"
    OTHER_FAULT Inferred "any other fault that a test asks for" => "its status, with a code of Graph's"
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_case_is_in_the_table_once() {
        let cases: BTreeSet<_> = BEHAVIOURS.iter().map(|behaviour| behaviour.case).collect();
        assert_eq!(cases.len(), BEHAVIOURS.len());
    }
}
