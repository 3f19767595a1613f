module ripcord.bench

go 1.23
