//! placeholder, the timer engine goes here
