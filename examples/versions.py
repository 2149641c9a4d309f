"""A payload that grew: jobs that were enqueued with the old shape still run."""

from typing import Any

from pgqueue import App, Job, JobContext, Queue


class ResizeImage(Job, version=2):
    image_id: int
    width: int
    height: int

    @classmethod
    def upgrade(cls, args: dict[str, Any], version: int) -> dict[str, Any]:
        if version == 1:  # a square, given by its side
            side = args.pop("side")
            args |= {"width": side, "height": side}
        return args

    async def run(self, app: object, ctx: JobContext) -> None:
        print(f"image {self.image_id}: {self.width} x {self.height}")


queue = Queue()
app = App(queue=queue, jobs=[ResizeImage])
