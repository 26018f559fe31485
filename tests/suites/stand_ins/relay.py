"""relay.py LISTEN TO COMMAND...: runs COMMAND; meanwhile what connects to port LISTEN of localhost is connected to TO.
For tests that know two addresses of what is one server here. Exit code: COMMAND's."""

import asyncio
import sys


async def pump(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass            # one side has hung up: so does the other, below
    finally:
        writer.close()


async def relaying(listen, to, work):
    """Relays until the coroutine that `work` makes has ended; returns what that returns."""
    async def serve(reader, writer):
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", int(to))
        await asyncio.gather(pump(reader, there_writer), pump(there_reader, writer))

    async with await asyncio.start_server(serve, "127.0.0.1", int(listen)):
        return await work()


async def main(listen, to, *command):
    async def run():
        process = await asyncio.create_subprocess_exec(*command)
        return await process.wait()

    return await relaying(listen, to, run)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
