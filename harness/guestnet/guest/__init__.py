"""Guests: the machine under test, and everything needed to make, start, drive and end one.

From packages to a live guest::

    cache = Cache()                                    # cache.py: whole things or nothing, for many
    image = build("tiny", cache, progress=bar)         # image.py <- recipe.py, packages.py, build.py
    qemu = find_qemu(cache)                            # machine.py: what QEMU is told
    accelerator = await choose(cache, qemu, image)     # accelerator.py: KVM, if a guest really runs on it
    machine = Machine(image, qemu, accelerator, Cable(descriptor=fd), index=1)
    guest = await start(machine, cache, say=print)     # snapshot.py: restored, or booted once for all
    result = await guest.run("ip route")               # qemu.py -> agent.py
    await guest.stop()

base.py says what every kind of guest can do. A namespace as a guest is in netns.py.

Who talks to whom in a QEMU guest, all over socket pairs: QMP drives the machine, qemu-guest-agent runs
commands, the *joiner* (images/tiny/root/usr/lib/guestnet/joiner) makes a restored guest itself, and the
serial console is kept and lent. None of it uses the network under test.
"""
