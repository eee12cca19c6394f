//! The binary: everything is in [`presenced::cli`].

fn main() -> std::process::ExitCode {
    presenced::cli::main()
}
