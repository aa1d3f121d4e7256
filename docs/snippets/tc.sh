aiida-clathrate tc alpha2f.dat --units meV --mu-star 0.10:0.13:2 --json
