#![cfg_attr(fuzzing, no_main)]

ripcord_fuzz::entry!(ripcord_fuzz::threads::TARGET);
