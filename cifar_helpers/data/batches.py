"""Batches that live on the device: a whole batch is cropped, flipped and normalised by a handful of operations."""

from collections.abc import Iterator

import numpy as np
import torch

from cifar_helpers.data import MEAN, STD


class Batches:
    """Normalised, shuffled, augmented batches of images that stay on the device as bytes.

    images (N, 32, 32, 3) uint8, labels (N,) integer. `crop` pads by so many pixels of the mean colour and cuts
    32x32 at a random place; `flip` mirrors an image in two; `cutout` blanks a square of so many pixels around a
    random point, cut off at the border (DeVries and Taylor, 2017, arXiv:1708.04552). Each image has its own draws.
    `alternate` draws for each image once whether it is mirrored in even or in odd epochs, so that two epochs in a row
    show both sides of it (Jordan, 2024, arXiv:2404.00498); `reflect` pads by the image's own mirrored border.

    A copy of the images takes N x (32 + 2 crop)^2 x 3 bytes: 240 MB for the training images at crop=4.
    """

    def __init__(
        self,
        images,
        labels,
        batch_size: int,
        *,
        device="cpu",
        shuffle: bool = True,
        seed: int = 0,
        crop: int = 4,
        flip: bool = True,
        cutout: int = 0,
        drop_last: bool = False,
        alternate: bool = False,
        reflect: bool = False,
    ):
        images, labels = torch.as_tensor(images), torch.as_tensor(labels)
        if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[1:] != (32, 32, 3) or not len(images):
            raise ValueError(
                f"images must be uint8 of shape (N, 32, 32, 3), not {images.dtype} of {tuple(images.shape)}"
            )
        if labels.shape != images.shape[:1] or labels.is_floating_point():
            raise ValueError(
                f"labels must be integers of shape ({len(images)},), one for each image, not "
                f"{labels.dtype} of {tuple(labels.shape)}"
            )
        for name, value, least in (
            ("batch_size", batch_size, 1),
            ("seed", seed, 0),
            ("crop", crop, 0),
            ("cutout", cutout, 0),
        ):
            if value < least:
                raise ValueError(f"{name} must be at least {least}, not {value}")
        self.batch_size, self.shuffle, self.seed = batch_size, shuffle, seed
        self.crop, self.flip, self.cutout, self.drop_last = crop, flip, cutout, drop_last
        self.alternate = alternate
        self.labels = labels.to(device, torch.int64)
        self.side = side = 32 + 2 * crop
        mean, std = 255 * torch.tensor(MEAN), 255 * torch.tensor(STD)
        if reflect:
            mirrored = torch.cat((torch.arange(crop, 0, -1), torch.arange(32), torch.arange(30, 30 - crop, -1)))
            padded = images.to(device)[:, mirrored][:, :, mirrored]
        else:
            padded = mean.round().to(device, torch.uint8).repeat(len(images), side, side, 1)
            padded[:, crop : crop + 32, crop : crop + 32] = images.to(device)
        self.bytes = padded.view(-1)
        # one mean and scale for each byte of an image: adding rows of equal length is faster than broadcasting 3
        self.mean, self.scale = mean.to(device).repeat(1024), (1 / std).to(device).repeat(1024)
        self.places = self._places().to(device)

    def _places(self) -> torch.Tensor:
        """(2, 3072): where the bytes of a 32x32 window lie from its first byte on, as it is and mirrored."""
        indices = torch.int32 if self.bytes.numel() < 2**31 else torch.int64
        rows, columns = torch.arange(32)[:, None, None] * self.side, torch.arange(32)[:, None]
        windows = [(rows + across) * 3 + torch.arange(3) for across in (columns, columns.flip(0))]
        return torch.stack(windows).view(2, 3072).to(indices)

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        whole, rest = divmod(len(self.labels), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def draws(self, number: int) -> dict[str, torch.Tensor]:
        """All that is random in epoch `number`, from (seed, number) alone: position i is the i-th image to come.

        index (N,) of the image; top, left (N,) of its window in the padded image; flip (N,) 0 or 1; row, column
        (N,) of the centre of its Cutout square. On the CPU for every device, so that all devices see the same batches.
        """
        count = len(self.labels)
        # SeedSequence mixes the two, so that epoch 1 of seed 0 is not epoch 0 of seed 1
        mixed = np.random.SeedSequence([self.seed, number]).generate_state(1, np.uint64)
        random = torch.Generator().manual_seed(int(mixed[0] >> np.uint64(1)))

        def draw(choices: int) -> torch.Tensor:
            return torch.randint(choices, (count,), generator=random)

        order = torch.randperm(count, generator=random)
        draws = {
            "index": order if self.shuffle else torch.arange(count),
            "top": draw(2 * self.crop + 1),
            "left": draw(2 * self.crop + 1),
            "flip": draw(2) * self.flip,
            "row": draw(32),
            "column": draw(32),
        }
        if self.alternate and self.flip:
            first = torch.randint(2, (count,), generator=torch.Generator().manual_seed(self.seed))
            draws["flip"] = (first[draws["index"]] + number) % 2
        return draws

    def epoch(self, number: int = 0) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Batches of epoch `number`: images (B, 3, 32, 32) in channels_last, labels (B,) int64."""
        draws = self.draws(number)
        device = self.labels.device
        first = ((draws["index"] * self.side + draws["top"]) * self.side + draws["left"]) * 3
        first = first.to(device, self.places.dtype)[:, None]
        index, flip = draws["index"].to(device), draws["flip"].to(device)
        row, column = draws["row"].to(device), draws["column"].to(device)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            part = slice(start, start + self.batch_size)
            places = self.places.index_select(0, flip[part]).add_(first[part])  # crop and flip in one gather
            images = self.bytes.index_select(0, places.view(-1)).view(-1, 3072).to(torch.float32)
            # two roundings, never fused: the same bits on every device
            images = images.sub_(self.mean).mul_(self.scale).view(-1, 32, 32, 3)
            if self.cutout:
                images.masked_fill_(self._squares(row[part], column[part])[..., None], 0)
            yield images.permute(0, 3, 1, 2), self.labels.index_select(0, index[part])

    def _squares(self, row: torch.Tensor, column: torch.Tensor) -> torch.Tensor:
        """(B, 32, 32) bool: inside the square of `cutout` pixels around each centre."""
        pixels = torch.arange(32, device=row.device) + self.cutout // 2
        down, across = pixels - row[:, None], pixels - column[:, None]
        inside = [(distance >= 0) & (distance < self.cutout) for distance in (down, across)]
        return inside[0][:, :, None] & inside[1][:, None, :]
