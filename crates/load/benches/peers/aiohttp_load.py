"""A load generator as one would write it with aiohttp, to compare with.

python aiohttp_load.py HOST:PORT SECONDS CONNECTIONS RATE

RATE 0: CONNECTIONS workers, each of which asks again when it was answered. Otherwise an open loop: a task for each
request at its intended time, measured from that time.
"""

import asyncio
import json
import sys
import time

import aiohttp


async def ask(session, url, intended, late, took):
    late.append(time.perf_counter() - intended)
    async with session.get(url) as answer:
        await answer.read()
    took.append(time.perf_counter() - intended)


async def closed_loop(session, url, seconds, connections, late, took):
    end = time.perf_counter() + seconds

    async def worker():
        while time.perf_counter() < end:
            await ask(session, url, time.perf_counter(), late, took)

    await asyncio.gather(*(worker() for _ in range(connections)))


async def open_loop(session, url, seconds, rate, late, took):
    start = time.perf_counter()
    tasks = set()
    for number in range(int(rate * seconds)):
        intended = start + number / rate
        await asyncio.sleep(max(0.0, intended - time.perf_counter()))
        task = asyncio.create_task(ask(session, url, intended, late, took))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)


async def main(address, seconds, connections, rate):
    late, took = [], []
    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector) as session:
        start = time.perf_counter()
        url = f"http://{address}/"
        if rate == 0:
            await closed_loop(session, url, seconds, connections, late, took)
        else:
            await open_loop(session, url, seconds, rate, late, took)
        lasted = time.perf_counter() - start
    late.sort()
    took.sort()
    print(
        json.dumps(
            {
                "rate": len(took) / lasted,
                "late_p50_us": late[len(late) // 2] * 1e6,
                "late_p99_us": late[len(late) * 99 // 100] * 1e6,
                "dropped": 0,
                "p99_ms": took[len(took) * 99 // 100] * 1e3,
            }
        )
    )


address, seconds, connections, rate = sys.argv[1:]
asyncio.run(main(address, float(seconds), int(connections), float(rate)))
