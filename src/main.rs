//! The binary. All its code is in [`presenced::cli`].

fn main() -> std::process::ExitCode {
    presenced::cli::main()
}
