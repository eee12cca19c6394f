//! The corpus of the fuzz targets for the status socket and the token file, each file through the checks that they make. The
//! calendar's is in `calendar/corpus.rs`.

use crate::calendar::corpus::replay;

#[path = "../../fuzz/checks/socket.rs"]
mod socket;
#[path = "../../fuzz/checks/token_file.rs"]
mod token_file;

#[test]
fn no_request_of_the_corpus_breaks_a_promise() {
    replay("socket_request", socket::conversation);
}

#[test]
fn no_token_file_of_the_corpus_breaks_a_promise() {
    replay("token_file", token_file::sign_in);
    // Too large for the corpus.
    token_file::sign_in(&b"{".repeat(200_000));
}
