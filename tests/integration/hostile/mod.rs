//! Networks that mean no good: nobody gets in, nobody gets stuck, nothing grows.

mod connections;
mod guessing;
mod sandbox;
mod secrets;
mod slow;
