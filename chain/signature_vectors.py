"""Edge cases of Ed25519 with the verdict of our acceptance rule.  Spec: [SIG-CHECK].

`chain.keys.self_check` runs them before a node starts. They were computed with plain integers, independently
of any signature library, by tests/ed25519_reference.py; a test computes them again. The mixed-order rows tell
a cofactorless verifier (ours) from a cofactored one, which libsodium's development branch has become.
"""

from __future__ import annotations

RFC_8032_TEST_2 = (
    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    "72",
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
)
"""Seed, public key, message and signature, all in hexadecimal."""

EdgeCase = tuple[str, bool, str, str, str]
"""What it shows, verdict, public key (hexadecimal), message (ASCII), signature (hexadecimal)."""

EDGE_CASES: tuple[EdgeCase, ...] = (
    (
        "honest",
        True,
        "f52cb087532a859897add9e4b50b381569e0dec53cd91405e3f8f3bb1e087301",
        "tilework",
        "b31b20f50426242514d81b383548bd90de72fd0b8cf2382a88f9f52ce5076b23"
        "c90a12b3b7c2af3133dbe602ba4ac45ab58555636d48e833dbb20dc9d7147f00",
    ),
    (
        "other message",
        False,
        "f52cb087532a859897add9e4b50b381569e0dec53cd91405e3f8f3bb1e087301",
        "tileworks",
        "b31b20f50426242514d81b383548bd90de72fd0b8cf2382a88f9f52ce5076b23"
        "c90a12b3b7c2af3133dbe602ba4ac45ab58555636d48e833dbb20dc9d7147f00",
    ),
    (
        "S + L",
        False,
        "f52cb087532a859897add9e4b50b381569e0dec53cd91405e3f8f3bb1e087301",
        "tilework",
        "b31b20f50426242514d81b383548bd90de72fd0b8cf2382a88f9f52ce5076b23"
        "b6de0710d225c2890978dea59844a36fb58555636d48e833dbb20dc9d7147f10",
    ),
    (
        "R = neutral, S = k*a",
        False,
        "f52cb087532a859897add9e4b50b381569e0dec53cd91405e3f8f3bb1e087301",
        "tilework",
        "0100000000000000000000000000000000000000000000000000000000000000"
        "d97af7b58299919837bb081180174ad9fd168901f40ec963a9581a566f1e350b",
    ),
    (
        "small-order A",
        False,
        "0000000000000000000000000000000000000000000000000000000000000000",
        "1",
        "edc876d6831fd2105d0b4389ca2e283166469289146e2ce06faefe98b22548df"
        "0500000000000000000000000000000000000000000000000000000000000000",
    ),
    (
        "small-order R",
        False,
        "f52cb087532a859897add9e4b50b381569e0dec53cd91405e3f8f3bb1e087301",
        "tilework",
        "0000000000000000000000000000000000000000000000000000000000000000"
        "4ce6fdaab3c6f6543d1358533f6e667e9138911cee36c6c57646a58bb4ea5702",
    ),
    (
        "small-order A",
        False,
        "0000000000000000000000000000000000000000000000000000000000000080",
        "6",
        "edc876d6831fd2105d0b4389ca2e283166469289146e2ce06faefe98b22548df"
        "0500000000000000000000000000000000000000000000000000000000000000",
    ),
    (
        "small-order R",
        False,
        "f52cb087532a859897add9e4b50b381569e0dec53cd91405e3f8f3bb1e087301",
        "tilework",
        "0000000000000000000000000000000000000000000000000000000000000080"
        "5cbc851029152326593f5abbbce31855ca5690d6d4b758e6b5e216da081bb50e",
    ),
    (
        "small-order A",
        False,
        "0100000000000000000000000000000000000000000000000000000000000000",
        "9",
        "edc876d6831fd2105d0b4389ca2e283166469289146e2ce06faefe98b22548df"
        "0500000000000000000000000000000000000000000000000000000000000000",
    ),
    (
        "small-order R",
        False,
        "f52cb087532a859897add9e4b50b381569e0dec53cd91405e3f8f3bb1e087301",
        "tilework",
        "0100000000000000000000000000000000000000000000000000000000000000"
        "d97af7b58299919837bb081180174ad9fd168901f40ec963a9581a566f1e350b",
    ),
    (
        "small-order A",
        False,
        "0100000000000000000000000000000000000000000000000000000000000080",
        "0",
        "edc876d6831fd2105d0b4389ca2e283166469289146e2ce06faefe98b22548df"
        "0500000000000000000000000000000000000000000000000000000000000000",
    ),
    (
        "small-order R",
        False,
        "f52cb087532a859897add9e4b50b381569e0dec53cd91405e3f8f3bb1e087301",
        "tilework",
        "0100000000000000000000000000000000000000000000000000000000000080"
        "1f876d58f3cb2f536c467bab8056e72474e68e5aebda60542dd514856c3a1405",
    ),
    (
        "small-order A",
        False,
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "4",
        "edc876d6831fd2105d0b4389ca2e283166469289146e2ce06faefe98b22548df"
        "0500000000000000000000000000000000000000000000000000000000000000",
    ),
    (
        "small-order R",
        False,
        "f52cb087532a859897add9e4b50b381569e0dec53cd91405e3f8f3bb1e087301",
        "tilework",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"
        "e3ad81a1b0ff0b5acb8e9f32be484b8d9f53a65c6969b84ba204343f29179c0a",
    ),
    (
        "small-order A",
        False,
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "1",
        "edc876d6831fd2105d0b4389ca2e283166469289146e2ce06faefe98b22548df"
        "0500000000000000000000000000000000000000000000000000000000000000",
    ),
    (
        "small-order R",
        False,
        "f52cb087532a859897add9e4b50b381569e0dec53cd91405e3f8f3bb1e087301",
        "tilework",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"
        "50beab4c96a0fbfac06ded6bdf5d8d2885296e1ad1845abade070033cec2460b",
    ),
    (
        "small-order A",
        False,
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "1",
        "edc876d6831fd2105d0b4389ca2e283166469289146e2ce06faefe98b22548df"
        "0500000000000000000000000000000000000000000000000000000000000000",
    ),
    (
        "small-order R",
        False,
        "f52cb087532a859897add9e4b50b381569e0dec53cd91405e3f8f3bb1e087301",
        "tilework",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"
        "752946637448d7c45a54f0e6b3cbd5c9112dc52450336cea0aea7c9b380d8e03",
    ),
    (
        "small-order A",
        False,
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "18",
        "edc876d6831fd2105d0b4389ca2e283166469289146e2ce06faefe98b22548df"
        "0500000000000000000000000000000000000000000000000000000000000000",
    ),
    (
        "small-order R",
        False,
        "f52cb087532a859897add9e4b50b381569e0dec53cd91405e3f8f3bb1e087301",
        "tilework",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"
        "131da4e473ea3e79c0945c6d080b501544d66b57b4f1b09c42f191c3f6d4a70f",
    ),
    (
        "small-order A",
        False,
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "18",
        "edc876d6831fd2105d0b4389ca2e283166469289146e2ce06faefe98b22548df"
        "0500000000000000000000000000000000000000000000000000000000000000",
    ),
    (
        "small-order R",
        False,
        "f52cb087532a859897add9e4b50b381569e0dec53cd91405e3f8f3bb1e087301",
        "tilework",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
        "782f565e3a89bf9d719b7c2aa63bc1fc2dc4ba989ffd81ba284c9ebe4b6c3a01",
    ),
    (
        "small-order A",
        False,
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "10",
        "edc876d6831fd2105d0b4389ca2e283166469289146e2ce06faefe98b22548df"
        "0500000000000000000000000000000000000000000000000000000000000000",
    ),
    (
        "small-order R",
        False,
        "f52cb087532a859897add9e4b50b381569e0dec53cd91405e3f8f3bb1e087301",
        "tilework",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
        "9538280c59373d49ec2990c0541c07f79abc2d61a24cbe4c230b67180177db07",
    ),
    (
        "small-order A",
        False,
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "3",
        "edc876d6831fd2105d0b4389ca2e283166469289146e2ce06faefe98b22548df"
        "0500000000000000000000000000000000000000000000000000000000000000",
    ),
    (
        "small-order R",
        False,
        "f52cb087532a859897add9e4b50b381569e0dec53cd91405e3f8f3bb1e087301",
        "tilework",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
        "d6caab7f7e634d502e410fe4756122da8da5b9296982cd7e39064cadb1583904",
    ),
    (
        "small-order A",
        False,
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "11",
        "edc876d6831fd2105d0b4389ca2e283166469289146e2ce06faefe98b22548df"
        "0500000000000000000000000000000000000000000000000000000000000000",
    ),
    (
        "small-order R",
        False,
        "f52cb087532a859897add9e4b50b381569e0dec53cd91405e3f8f3bb1e087301",
        "tilework",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
        "f2de8752ce9efb10f21e240e37b15c4a6067f563169ac3689f200d7d025db701",
    ),
    (
        "small-order A",
        False,
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "1",
        "edc876d6831fd2105d0b4389ca2e283166469289146e2ce06faefe98b22548df"
        "0500000000000000000000000000000000000000000000000000000000000000",
    ),
    (
        "small-order R",
        False,
        "f52cb087532a859897add9e4b50b381569e0dec53cd91405e3f8f3bb1e087301",
        "tilework",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
        "9dc14255958a150fc714401dbc1f2ea9717f04f8c67f3c0515cbe47db4ae4e0f",
    ),
    (
        "small-order A",
        False,
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "9",
        "edc876d6831fd2105d0b4389ca2e283166469289146e2ce06faefe98b22548df"
        "0500000000000000000000000000000000000000000000000000000000000000",
    ),
    (
        "small-order R",
        False,
        "f52cb087532a859897add9e4b50b381569e0dec53cd91405e3f8f3bb1e087301",
        "tilework",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
        "b626d49ef5c1f9d2ef93776a19917660380e6dda2a26251c00b31c3cd7c1e404",
    ),
    (
        "mixed-order A, k = 0 mod 8",
        True,
        "233eff9f91fb7e54f7b7df141bd44960105bbbdd46b1114b8c26a3746f4f1123",
        "6",
        "c0f1225584444ec730446e231390781ffdd2f256e9fcbeb2f40dddc2c2233d7f"
        "d02813abc4eabcca817502f200fd53716dc30f928a8ff2aa64dc57663fda5e0a",
    ),
    (
        "mixed-order A, k = 1 mod 8",
        False,
        "233eff9f91fb7e54f7b7df141bd44960105bbbdd46b1114b8c26a3746f4f1123",
        "11",
        "c0f1225584444ec730446e231390781ffdd2f256e9fcbeb2f40dddc2c2233d7f"
        "72c02350e60f6930fedd064f27e7a3065d0115cd21f4c5527c6b65cbd2c42e05",
    ),
    (
        "mixed-order R",
        False,
        "f52cb087532a859897add9e4b50b381569e0dec53cd91405e3f8f3bb1e087301",
        "tilework",
        "98519eadf35b995233b51b5cd23e9cc5a28b639b5a4af0ec903cb960d81b7819"
        "d2951e231fe3fc47ca9c5464152601620d494cc149bd693c53da56843d14ce0e",
    ),
    (
        "mixed-order A, k = 0 mod 8",
        True,
        "254528c5f9149c25c005123fc70a1e574343e941a5d031eba42606e4197ebecb",
        "0",
        "c0f1225584444ec730446e231390781ffdd2f256e9fcbeb2f40dddc2c2233d7f"
        "d625a147598ff93ba975348f21a6e2f2048794cae50f95de3df28416b136450e",
    ),
    (
        "mixed-order A, k = 2 mod 8",
        False,
        "254528c5f9149c25c005123fc70a1e574343e941a5d031eba42606e4197ebecb",
        "11",
        "c0f1225584444ec730446e231390781ffdd2f256e9fcbeb2f40dddc2c2233d7f"
        "a2b77fb16b9e9880549f7e6381d4b2f246357ff2040433c927360a9d7899b003",
    ),
    (
        "mixed-order R",
        False,
        "f52cb087532a859897add9e4b50b381569e0dec53cd91405e3f8f3bb1e087301",
        "tilework",
        "e4dd22778010b28a10d0ddcf35d7a144216299cbe36ba86b31952ef0a294176e"
        "fb42a6852a4cbf767ca86b1b8ac18422b396493fb548f57180f1e0cfe7e04702",
    ),
    (
        "mixed-order A, k = 0 mod 8",
        True,
        "1aeddce97e449620ba472f82ce8f28fbcc53c4483417e211fce5851980c76c12",
        "0",
        "c0f1225584444ec730446e231390781ffdd2f256e9fcbeb2f40dddc2c2233d7f"
        "eb98d0628071e368043b4a9ed92ae4152e903caccb9e91a7065b33d0a780d50b",
    ),
    (
        "mixed-order A, k = 3 mod 8",
        False,
        "1aeddce97e449620ba472f82ce8f28fbcc53c4483417e211fce5851980c76c12",
        "21",
        "c0f1225584444ec730446e231390781ffdd2f256e9fcbeb2f40dddc2c2233d7f"
        "3011acde845a4ea8e08c1e2c46f91ad40c2e926cb88d310f6ab75e4a463a3903",
    ),
    (
        "mixed-order R",
        False,
        "f52cb087532a859897add9e4b50b381569e0dec53cd91405e3f8f3bb1e087301",
        "tilework",
        "528b312e93bc0c3705c89c20dcd85600e229ad3d6872b1c656d3873fbe62e6e2"
        "b96d85d5166ba36bd29fb711a35c764c212cab3361ce858689690db6a1c44f09",
    ),
    (
        "mixed-order A, k = 0 mod 8",
        True,
        "f8d24f78acd57a676852261b4af4c7ea961f213ac326ebfa1c070c44e1f78cfe",
        "5",
        "c0f1225584444ec730446e231390781ffdd2f256e9fcbeb2f40dddc2c2233d7f"
        "ef0bc3327e0dd51920f5e75eade38ac029274acd980edec041f64bd59a12380e",
    ),
    (
        "mixed-order A, k = 4 mod 8",
        True,
        "f8d24f78acd57a676852261b4af4c7ea961f213ac326ebfa1c070c44e1f78cfe",
        "2",
        "c0f1225584444ec730446e231390781ffdd2f256e9fcbeb2f40dddc2c2233d7f"
        "e3675b91dc38477a8ecf4b941e916e99c93b27d346ca4b728d2b450083e20103",
    ),
    (
        "mixed-order R",
        False,
        "f52cb087532a859897add9e4b50b381569e0dec53cd91405e3f8f3bb1e087301",
        "tilework",
        "beeecd359e54c7200ff0d015cdd70db3938e2a7f7a47f1b81e6aea34d8172fb8"
        "2fb0e2abd7c56782f009b697b252cbc686358ec64cf0b5fa18a623e13e926503",
    ),
    (
        "mixed-order A, k = 0 mod 8",
        True,
        "cac100606e0481ab084820ebe42bb69fefa44422b94eeeb473d95c8b90b0eedc",
        "5",
        "c0f1225584444ec730446e231390781ffdd2f256e9fcbeb2f40dddc2c2233d7f"
        "b5e8378894e0c38a7523dcf7b18611de5e2ee91f8b280be5a19ba16002eaf009",
    ),
    (
        "mixed-order A, k = 5 mod 8",
        False,
        "cac100606e0481ab084820ebe42bb69fefa44422b94eeeb473d95c8b90b0eedc",
        "19",
        "c0f1225584444ec730446e231390781ffdd2f256e9fcbeb2f40dddc2c2233d7f"
        "b7659b5817df726f2b0f39980b0d1819264168b52b83fb69e7eb88dad79fa70b",
    ),
    (
        "mixed-order R",
        False,
        "f52cb087532a859897add9e4b50b381569e0dec53cd91405e3f8f3bb1e087301",
        "tilework",
        "1dbdb48fe29fdaa21a208faf8efa6332dd47cb644bec7dfd14429a161f52dee4"
        "4773af3bad72e38b8efc6a3b239407a12e5c349fb6a5590aa1b9141d58d9bf02",
    ),
    (
        "mixed-order A, k = 0 mod 8",
        True,
        "c8bad73a06eb63da3ffaedc038f5e1a8bcbc16be5a2fce145bd9f91be6814134",
        "0",
        "c0f1225584444ec730446e231390781ffdd2f256e9fcbeb2f40dddc2c2233d7f"
        "e42c6c834e5bf8ff2a8baf2cf5b09248c9fcfceaea4ac561158efbffc8715307",
    ),
    (
        "mixed-order A, k = 6 mod 8",
        False,
        "c8bad73a06eb63da3ffaedc038f5e1a8bcbc16be5a2fce145bd9f91be6814134",
        "23",
        "c0f1225584444ec730446e231390781ffdd2f256e9fcbeb2f40dddc2c2233d7f"
        "ee59e561abeebcca0ca1af75ff3221c19b12dd932029b8e6b788cfd78408800f",
    ),
    (
        "mixed-order R",
        False,
        "f52cb087532a859897add9e4b50b381569e0dec53cd91405e3f8f3bb1e087301",
        "tilework",
        "ca51de0cda0d5eab6771ec7fc070a898bdf7e09c0423adfb50b88efbbf841511"
        "7843fd59195d7fe8fb612e9811205bf29b4fbf2a5f2aac0a5fa9ad2fed75b402",
    ),
    (
        "mixed-order A, k = 0 mod 8",
        True,
        "d312231681bb69df45b8d07d3170d70433ac3bb7cbe81dee031a7ae67f3893ed",
        "17",
        "c0f1225584444ec730446e231390781ffdd2f256e9fcbeb2f40dddc2c2233d7f"
        "5510e201d0901034ececff4974cf2bd75536526630843c797e1b0272277cea06",
    ),
    (
        "mixed-order A, k = 7 mod 8",
        False,
        "d312231681bb69df45b8d07d3170d70433ac3bb7cbe81dee031a7ae67f3893ed",
        "28",
        "c0f1225584444ec730446e231390781ffdd2f256e9fcbeb2f40dddc2c2233d7f"
        "33faf1d279b1d28d5b0890d86469cbb7966a5656d6a138f2b27604c665ed080d",
    ),
    (
        "mixed-order R",
        False,
        "f52cb087532a859897add9e4b50b381569e0dec53cd91405e3f8f3bb1e087301",
        "tilework",
        "d7467e2f477320c5460578e6f7dd01b6fa4b8a1025c51383cb54056d3e6cdf0b"
        "e16463cac66a5b8d5bc0e7d145f1537c2bac0291de757c0bbc1b94ef3154290d",
    ),
)
