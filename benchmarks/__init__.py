"""zbus beside its peers: the same work, the same run, the same machine.

    python -m benchmarks                               every row, under three minutes
    python -m benchmarks --rows push-pull,ticker       some rows
    python -m benchmarks --rounds 9 --scale 2          longer and steadier
    python -m benchmarks --json > today.json           for a program to read

Run it where this directory stands. `pip install zbus-green[bench]` brings zerorpc; without it the
rows that want it say so.

What is fair here: each measurement starts two fresh processes, over tcp on loopback. Every library
sends the same three-key dict through msgpack, keeps a high-water mark of 1000, has its options as
they come, and calls the same callback. The receiver keeps the time, after a warm-up, and checks
that nothing was lost on the way.

What is believed here: ratios. A machine that is busy with other things slows every peer, so the
contenders of a row take turns (A B C, A B C, …), a ratio is taken within a turn, and the median
over the turns is printed with the lowest and the highest. The rates belong to one machine on one
day; so does the delay of the ticker, which a busy machine lengthens.
"""
